/* The plugin has no interface but that of lookout_sink.h. */
