/* jobs_probe NAME...: what a program in a sandbox may ask of the kernel. Each name is a system call
   below; its line says "NAME: " and the name of the error, or "done". "log" tries what standard
   output's file can be made. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct probe {
  const char* name;
  long number;
  long arguments[5];
};

static char text[] = "probe";
static int input = 0;

/* Without the filter none of the refused ones says what is asked for: each is given what the kernel
   would find fault with itself, or would do. */
static const struct probe probes[] = {
    {"tiocsti", SYS_ioctl, {0, TIOCSTI, (long)text}},
    {"tiocsti-high", SYS_ioctl, {0, TIOCSTI | (1L << 32), (long)text}},
    {"tioclinux", SYS_ioctl, {0, TIOCLINUX, (long)text}},
    {"add_key", SYS_add_key, {(long)"user", (long)text, (long)text, 5, KEY_SPEC_SESSION_KEYRING}},
    {"request_key", SYS_request_key, {(long)"user", (long)"sluice-absent", 0, 0}},
    {"keyctl", SYS_keyctl, {KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0}},
    {"unshare-user", SYS_unshare, {CLONE_NEWUSER}},
    {"clone-user", SYS_clone, {CLONE_NEWUSER | 17, 0, 0, 0, 0}},
    {"clone3", SYS_clone3, {0, 0}},
    {"fsopen", SYS_fsopen, {(long)"tmpfs", 0}},
    {"open_tree", SYS_open_tree, {-1, (long)"/", 0}},
    {"mount_setattr", SYS_mount_setattr, {-1, 0, 0, 0, 0}},
    {"mount", SYS_mount, {0, 0, 0, 0, 0}},
    {"umount2", SYS_umount2, {0, 0}},
    {"setns", SYS_setns, {-1, 0}},
    {"get_mempolicy", SYS_get_mempolicy, {0, 0, 0, 0, 0}},
    {"syslog", SYS_syslog, {3, (long)text, 1}},
    {"vsock", SYS_socket, {AF_VSOCK, SOCK_STREAM, 0}},
    {"vsock-high", SYS_socket, {AF_VSOCK | (1L << 32), SOCK_STREAM, 0}},
    {"alg", SYS_socket, {AF_ALG, SOCK_SEQPACKET, 0}},
    {"packet", SYS_socket, {AF_PACKET, SOCK_RAW, 0}},
    {"key-socket", SYS_socket, {AF_KEY, SOCK_RAW, 2}},
    {"tipc-pair", SYS_socketpair, {AF_TIPC, SOCK_STREAM, 0, (long)text}},
    /* What builds need. */
    {"unix", SYS_socket, {AF_UNIX, SOCK_STREAM, 0}},
    {"inet", SYS_socket, {AF_INET, SOCK_STREAM, 0}},
    {"inet6", SYS_socket, {AF_INET6, SOCK_DGRAM, 0}},
    {"netlink", SYS_socket, {AF_NETLINK, SOCK_RAW, 0}},
    {"unshare-fs", SYS_unshare, {CLONE_FS}},
    {"clone", SYS_clone, {17, 0, 0, 0, 0}},
    {"personality", SYS_personality, {ADDR_NO_RANDOMIZE}},
    {"fionread", SYS_ioctl, {-2, FIONREAD, (long)&input}},
    {"ptrace", SYS_ptrace, {PTRACE_TRACEME, 0, 0, 0}},
#ifdef __x86_64__
    {"x32-getpid", 0x40000000 | SYS_getpid, {0}},
#endif
};

#ifdef __x86_64__
/* The same by the entry of 32-bit programs, with their numbers. What is pointed to lies low: this
 * program isn't relocated. */
static unsigned vsock_arguments[] = {AF_VSOCK, SOCK_STREAM, 0};
static const struct probe narrow[] = {
    {"narrow-tiocsti", 54, {0, TIOCSTI, 0}},
    {"narrow-keyctl", 288, {KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0}},
    {"narrow-unshare-user", 310, {CLONE_NEWUSER}},
    {"narrow-clone3", 435, {0, 0}},
    {"narrow-mount", 21, {0, 0, 0, 0, 0}},
    {"narrow-vsock", 359, {AF_VSOCK, SOCK_STREAM, 0}},
    {"narrow-socketcall", 102, {1, 0}},
    {"narrow-getpid", 20, {0}},
};

static long narrow_call(const struct probe* p) {
  long result;
  long second = strcmp(p->name, "narrow-socketcall") == 0 ? (long)vsock_arguments : p->arguments[1];
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(p->number), "b"(p->arguments[0]), "c"(second), "d"(p->arguments[2]),
                     "S"(p->arguments[3]), "D"(p->arguments[4])
                   : "memory", "r8", "r9", "r10", "r11");
  return result;
}
#endif

/* What the file behind standard output could be made by who has it open for more than appending. */
static int attack_log(void) {
  static const off_t kFar = (off_t)100 << 30;
  int done = 0;
  for (int way = 0; way < 2; ++way) {
    const int fd = way == 0 ? 1 : open("/proc/self/fd/1", O_RDWR);
    if (fd < 0) continue;
    if (ftruncate(fd, kFar) == 0 || ftruncate(fd, 0) == 0) done = 1;
    if (pwrite(fd, "far", 3, kFar / 2) > 0 || pwrite(fd, "early", 5, 0) > 0) done = 1;
    if (lseek(fd, 0, SEEK_SET) == 0 || fallocate(fd, 0, 0, 1 << 20) == 0) done = 1;
    if (mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED) done = 1;
  }
  const int shortened = open("/proc/self/fd/1", O_WRONLY | O_TRUNC);
  if (shortened >= 0 && ftruncate(shortened, 0) == 0) done = 1;
  return done;
}

static void say(const char* name, long result, int error) {
  printf("%s: %s\n", name, result >= 0 ? "done" : strerrorname_np(error));
  fflush(stdout);
}

int main(int argc, char** argv) {
  int pipes[2];
  if (pipe(pipes) != 0) return 1;
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "log") == 0) printf("log: %s\n", attack_log() ? "done" : "refused");
    for (unsigned k = 0; k < sizeof probes / sizeof *probes; ++k) {
      const struct probe* p = &probes[k];
      if (strcmp(p->name, argv[i]) != 0) continue;
      const long* a = p->arguments;
      const long result = syscall(p->number, a[0] == -2 ? pipes[0] : a[0], a[1], a[2], a[3], a[4]);
      if (result == 0 && p->number == SYS_clone) _exit(0);
      say(p->name, result, errno);
    }
#ifdef __x86_64__
    for (unsigned k = 0; k < sizeof narrow / sizeof *narrow; ++k) {
      if (strcmp(narrow[k].name, argv[i]) != 0) continue;
      const long result = (int)narrow_call(&narrow[k]);
      say(narrow[k].name, result, result < 0 ? (int)-result : 0);
    }
#endif
  }
  return 0;
}
