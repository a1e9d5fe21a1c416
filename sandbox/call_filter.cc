#include "sandbox/call_filter.h"

#include <cerrno>
#include <cstring>
#include <memory>

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>
#include <seccomp.h>

#include "base/fd.h"

namespace sluice::sandbox {

namespace {

// A call that is refused, with the error of a missing right or of a kernel without that call.
// Programs know both and have their ways around them.
struct Refused {
  int call;
  int error;
};
constexpr Refused kRefused[] = {
    // Keys, log, accounts and quotas of the host, and where its memory lies, have no namespaces.
    {SCMP_SYS(add_key), EPERM},
    {SCMP_SYS(keyctl), EPERM},
    {SCMP_SYS(request_key), EPERM},
    {SCMP_SYS(syslog), EPERM},
    {SCMP_SYS(acct), EPERM},
    {SCMP_SYS(quotactl), EPERM},
    {SCMP_SYS(uselib), EPERM},
    {SCMP_SYS(move_pages), EPERM},
    {SCMP_SYS(migrate_pages), EPERM},
    {SCMP_SYS(mbind), EPERM},
    {SCMP_SYS(get_mempolicy), EPERM},
    {SCMP_SYS(set_mempolicy), EPERM},
    // Namespaces and mounts. clone3 has its flags in memory, where a filter doesn't see them;
    // without it clone is used.
    {SCMP_SYS(setns), EPERM},
    {SCMP_SYS(mount), EPERM},
    {SCMP_SYS(umount), EPERM},
    {SCMP_SYS(umount2), EPERM},
    {SCMP_SYS(pivot_root), EPERM},
    {SCMP_SYS(chroot), EPERM},
    {SCMP_SYS(clone3), ENOSYS},
    {SCMP_SYS(open_tree), ENOSYS},
    {SCMP_SYS(move_mount), ENOSYS},
    {SCMP_SYS(fsopen), ENOSYS},
    {SCMP_SYS(fsconfig), ENOSYS},
    {SCMP_SYS(fsmount), ENOSYS},
    {SCMP_SYS(fspick), ENOSYS},
    {SCMP_SYS(mount_setattr), ENOSYS},
};

// The argument in which clone() has its flags.
#if defined(__s390__) || defined(__s390x__)
constexpr unsigned kCloneFlags = 1;
#else
constexpr unsigned kCloneFlags = 0;
#endif

// The families of sockets that are allowed, in ascending order.
constexpr unsigned kFamilies[] = {AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

scmp_arg_cmp compare(unsigned argument, scmp_compare how, std::uint64_t one,
                     std::uint64_t two = 0) {
  return {argument, how, one, two};
}

// The functions below return what libseccomp does: 0, or a negative error number.
int refuse(scmp_filter_ctx filter, int error, int call, const scmp_arg_cmp& when) {
  return ::seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(static_cast<std::uint32_t>(error)), call,
                                  1, &when);
}

// Refuses sockets of other families. vsock leads to the machine's host, whatever the network
// namespace; the others to parts of the kernel that few look after.
int refuse_families(scmp_filter_ctx filter) {
  for (const int call : {SCMP_SYS(socket), SCMP_SYS(socketpair)}) {
    unsigned next = 0;
    for (const unsigned family : kFamilies) {
      for (; next < family; ++next) {
        if (const int rc = refuse(filter, EAFNOSUPPORT, call, compare(0, SCMP_CMP_EQ, next));
            rc != 0)
          return rc;
      }
      next = family + 1;
    }
    if (const int rc = refuse(filter, EAFNOSUPPORT, call, compare(0, SCMP_CMP_GE, next)); rc != 0)
      return rc;
  }
  return 0;
}

// The 32-bit architecture whose programs run here, too; 0: there is none.
std::uint32_t narrow_architecture() {
  switch (::seccomp_arch_native()) {
    case SCMP_ARCH_X86_64: return SCMP_ARCH_X86;
    case SCMP_ARCH_AARCH64: return SCMP_ARCH_ARM;
    case SCMP_ARCH_PPC64: return SCMP_ARCH_PPC;
    case SCMP_ARCH_S390X: return SCMP_ARCH_S390;
    default: return 0;
  }
}

int fill(scmp_filter_ctx filter, bool narrow) {
  // To programs in the sandbox, calls of another architecture, and those of x32, don't exist.
  int rc = ::seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
  if (rc == 0) rc = ::seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree, not a list
  if (rc != 0) return rc;
  const std::uint32_t other = narrow_architecture();
  // A rule is one for the architectures that are there when it is added. On those with socketcall,
  // a rule for a family refuses all sockets that are made by it.
  if (narrow && (rc = refuse_families(filter)) != 0) return rc;
  if (other != 0 && (rc = ::seccomp_arch_add(filter, other)) != 0 && rc != -EEXIST) return rc;
  if (!narrow && (rc = refuse_families(filter)) != 0) return rc;
  for (const Refused& refused : kRefused) {
    rc = ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(static_cast<std::uint32_t>(refused.error)),
                            refused.call, 0);
    if (rc != 0) return rc;
  }
  for (const auto& [call, argument] :
       {std::pair{SCMP_SYS(clone), kCloneFlags}, std::pair{SCMP_SYS(unshare), 0u}}) {
    if ((rc = refuse(filter, EPERM, call,
                     compare(argument, SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER))) != 0)
      return rc;
  }
  // Both put characters into a terminal as if its user had typed them. The kernel looks at 32 bits
  // of the request.
  for (const unsigned long request :
       {static_cast<unsigned long>(TIOCSTI), static_cast<unsigned long>(TIOCLINUX)}) {
    if ((rc = refuse(filter, EPERM, SCMP_SYS(ioctl),
                     compare(1, SCMP_CMP_MASKED_EQ, 0xffffffffu, request))) != 0)
      return rc;
  }
  return 0;
}

Result<std::string> make(bool narrow) {
  const auto unavailable = [](int rc) {
    return fail("sandbox", "unavailable-local-sandbox",
                fmt::format("cannot make the filter of system calls: {}", std::strerror(-rc)));
  };
  const std::unique_ptr<void, void (*)(void*)> filter(::seccomp_init(SCMP_ACT_ALLOW),
                                                      ::seccomp_release);
  if (!filter) return unavailable(-ENOMEM);
  if (const int rc = fill(filter.get(), narrow); rc != 0) return unavailable(rc);
  const UniqueFd file(::memfd_create("filter", MFD_CLOEXEC));
  if (!file) return unavailable(-errno);
  if (const int rc = ::seccomp_export_bpf(filter.get(), file.get()); rc != 0)
    return unavailable(rc);
  ::lseek(file.get(), 0, SEEK_SET);
  return read_all(file.get(), 1u << 20);
}

}  // namespace

const Result<std::string>& call_filter(bool narrow) {
  if (narrow) {
    static const Result<std::string> wide_and_narrow = make(true);
    return wide_and_narrow;
  }
  static const Result<std::string> plain = make(false);
  return plain;
}

}  // namespace sluice::sandbox
