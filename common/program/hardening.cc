#include "common/program/hardening.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>

#include "common/tls/process_tls.h"

namespace werkplek {

absl::Status HardenProcess() {
  umask(077);
  // A peer that goes away must not end the process.
  std::signal(SIGPIPE, SIG_IGN);
  // libldap must not read settings from the environment, the home or the working folder.
  setenv("LDAPNOINIT", "1", /*overwrite=*/1);
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return absl::InternalError("core dumps cannot be turned off: they would hold secrets");
  }
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  return RequireTls13InThisProcess();
}

}  // namespace werkplek
