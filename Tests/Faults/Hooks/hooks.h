#pragma once
/// The hooks replace functions of libc and libjpeg in the processes they are preloaded into; there is nothing to call.
