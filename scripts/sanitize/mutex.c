/* Tells ThreadSanitizer of what Swift's Mutex does when threads contend. That part lies in libswiftSynchronization, which is
 * compiled without it; the rest of Mutex is inlined into its callers, and is seen. Linked into sanitized programs alone, these
 * functions come before the library's, and call them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

typedef __attribute__((swiftcall)) void locking(uint32_t thread, __attribute__((swift_context)) void *mutex);
typedef __attribute__((swiftcall)) void unlocking(__attribute__((swift_context)) void *mutex);

void __tsan_acquire(void *);
void __tsan_release(void *);
locking lock_slow __asm__(LOCK);
unlocking unlock_slow __asm__(UNLOCK);

__attribute__((swiftcall)) void lock_slow(uint32_t thread, __attribute__((swift_context)) void *mutex) {
  ((locking *)dlsym(RTLD_NEXT, LOCK))(thread, mutex);
  __tsan_acquire(mutex);
}

__attribute__((swiftcall)) void unlock_slow(__attribute__((swift_context)) void *mutex) {
  __tsan_release(mutex);
  ((unlocking *)dlsym(RTLD_NEXT, UNLOCK))(mutex);
}
