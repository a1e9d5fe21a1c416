// libzmq.a has a GSSAPI mechanism, for which its shared twin makes every program load Kerberos:
// eight libraries. Nobody here asks for it (zap.h: NULL on this machine, CURVE beyond it); whoever
// did would hear that there is none. By the names alone: their declarations would want a Kerberos
// to declare them.
namespace {
constexpr unsigned kUnavailable = 16u << 16;  // GSS_S_UNAVAILABLE, RFC 2744
}

extern "C" {
void* GSS_C_NT_HOSTBASED_SERVICE = nullptr;
void* GSS_C_NT_USER_NAME = nullptr;
unsigned gss_accept_sec_context() { return kUnavailable; }
unsigned gss_acquire_cred() { return kUnavailable; }
unsigned gss_delete_sec_context() { return kUnavailable; }
unsigned gss_display_name() { return kUnavailable; }
unsigned gss_import_name() { return kUnavailable; }
unsigned gss_init_sec_context() { return kUnavailable; }
unsigned gss_release_buffer() { return kUnavailable; }
unsigned gss_release_cred() { return kUnavailable; }
unsigned gss_release_name() { return kUnavailable; }
unsigned gss_unwrap() { return kUnavailable; }
unsigned gss_wrap() { return kUnavailable; }
}
