/*
 * Preloaded into linux.uml, so that it runs on processors with AMX.
 *
 * PTRACE_SETREGSET of NT_X86_XSTATE takes the whole register state or fails with EFAULT (xstateregs_set in
 * arch/x86/kernel/fpu/regset.c). User-mode Linux before 6.13 keeps 2696 bytes of it, up to AVX-512 and PKRU;
 * AMX makes it 11008. No guest program uses AMX, since it would have to ask first (ARCH_REQ_XCOMP_PERM) and
 * user-mode Linux knows no such question: the rest is zeros. The kernel cuts what is too long.
 *
 * Declares what it needs itself: a compiler without the C library's headers will do.
 */
typedef unsigned long size_t;
struct iovec {
  void *base;
  size_t length;
};
typedef long ptrace_function(long request, long pid, void *address, void *data);
extern void *dlsym(void *handle, const char *name);
extern void *memcpy(void *to, const void *from, size_t length);

#define RTLD_NEXT ((void *)-1L)
#define PTRACE_SETREGSET 0x4205
#define NT_X86_XSTATE ((void *)0x202)

long ptrace(long request, long pid, void *address, void *data) {
  static ptrace_function *next;
  static char state[16384] __attribute__((aligned(64)));
  struct iovec whole = {state, sizeof state};

  if (next == 0) next = (ptrace_function *)dlsym(RTLD_NEXT, "ptrace");
  if (request == PTRACE_SETREGSET && address == NT_X86_XSTATE) {
    const struct iovec *kept = data;
    memcpy(state, kept->base, kept->length);
    data = &whole;
  }
  return next(request, pid, address, data);
}
