#include "common/tls/tls_files.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/folder.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr size_t kMaxPemBytes = 256 * 1024;

absl::Status FileError(absl::string_view path, absl::string_view what, int error) {
  const std::string text = absl::StrCat(path, ": ", what, ": ", std::strerror(error));
  if (error == ENOENT) return absl::NotFoundError(text);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(text);
  return absl::InternalError(text);
}

absl::StatusOr<std::string> ReadDescriptor(int fd, const std::string& path, size_t max_bytes) {
  std::string content;
  char buffer[16 * 1024];
  for (;;) {
    const ssize_t count = read(fd, buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError(path, "cannot read it", errno);
    if (count == 0) return content;
    content.append(buffer, size_t(count));
    if (content.size() > max_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path, ": larger than ", max_bytes, " bytes; is it the right file?"));
    }
  }
}

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes, bool secret) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return FileError(path, "cannot open it", errno);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  struct stat status {};
  if (fstat(fd, &status) != 0) return FileError(path, "cannot stat it", errno);
  if (!S_ISREG(status.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  if (secret && (status.st_mode & (S_IRWXO | S_IWGRP | S_IXGRP)) != 0) {
    return absl::PermissionDeniedError(
        absl::StrFormat("%s: a secret that others can reach (mode %04o); do: chmod 0600 %s", path,
                        unsigned(status.st_mode & 07777), path));
  }
  return ReadDescriptor(fd, path, max_bytes);
}

// Gives the new file the group of the one that it replaces; the mode that it may then have. A group
// that we may not give stays without access.
mode_t ModeWithGroup(const FileToWrite& file, int fd) {
  const auto mode = mode_t(file.mode);
  struct stat before {};
  if (!file.keep_group || lstat(file.path.c_str(), &before) != 0 || !S_ISREG(before.st_mode)) {
    return mode;
  }
  if (fchown(fd, uid_t(-1), before.st_gid) != 0) return mode;
  return mode | (before.st_mode & S_IRGRP);
}

// A flushed temporary file beside the file's place; its name.
absl::StatusOr<std::string> Stage(const FileToWrite& file) {
  std::string temporary = file.path + ".XXXXXX";
  const int fd = mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return FileError(file.path, "cannot make a file beside it", errno);
  absl::Status status;
  for (size_t done = 0; done < file.content.size() && status.ok();) {
    const ssize_t count = write(fd, file.content.data() + done, file.content.size() - done);
    if (count >= 0) {
      done += size_t(count);
    } else if (errno != EINTR) {
      status = FileError(file.path, "cannot write it", errno);
    }
  }
  if (status.ok() && (fchmod(fd, ModeWithGroup(file, fd)) != 0 || fsync(fd) != 0)) {
    status = FileError(file.path, "cannot make it durable", errno);
  }
  close(fd);
  if (status.ok()) return temporary;
  unlink(temporary.c_str());
  return status;
}

using StorePointer = std::unique_ptr<X509_STORE, OpensslFree<X509_STORE_free>>;
using StoreContextPointer = std::unique_ptr<X509_STORE_CTX, OpensslFree<X509_STORE_CTX_free>>;

// Whether `chain` leads to one of `authorities`, whatever the time is.
absl::Status CheckIssued(const std::vector<X509Pointer>& chain,
                         const std::vector<X509Pointer>& authorities, const TlsFiles& files) {
  const StorePointer store(X509_STORE_new());
  for (const X509Pointer& authority : authorities) {
    X509_STORE_add_cert(store.get(), authority.get());
  }
  X509_STORE_set_flags(store.get(), X509_V_FLAG_NO_CHECK_TIME);
  STACK_OF(X509)* between = sk_X509_new_null();
  const absl::Cleanup free_between = [between] { sk_X509_free(between); };
  for (size_t i = 1; i < chain.size(); ++i) sk_X509_push(between, chain[i].get());
  const StoreContextPointer context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), chain.front().get(), between);
  if (X509_verify_cert(context.get()) == 1) return absl::OkStatus();
  const int error = X509_STORE_CTX_get_error(context.get());
  OpensslError();
  return absl::FailedPreconditionError(
      absl::StrCat(files.certificate, ": not issued by the authority in ", files.ca, " (",
                   X509_verify_cert_error_string(error), ")"));
}

}  // namespace

absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t max_bytes) {
  return ReadFile(path, max_bytes, /*secret=*/false);
}

absl::StatusOr<Secret> ReadSecretFile(const std::string& path, size_t max_bytes) {
  ASSIGN_OR_RETURN(std::string content, ReadFile(path, max_bytes, /*secret=*/true));
  return Secret(std::move(content));
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view content, int mode) {
  return WriteFilesTogether({{path, content, mode}});
}

absl::Status WriteFilesTogether(const std::vector<FileToWrite>& files) {
  std::vector<std::string> staged;
  // Those that were renamed are gone from there already.
  const absl::Cleanup remove = [&] {
    for (const std::string& temporary : staged) unlink(temporary.c_str());
  };
  for (const FileToWrite& file : files) {
    ASSIGN_OR_RETURN(std::string temporary, Stage(file));
    staged.push_back(std::move(temporary));
  }
  for (size_t i = 0; i < files.size(); ++i) {
    if (rename(staged[i].c_str(), files[i].path.c_str()) != 0) {
      return FileError(files[i].path, "cannot rename onto it", errno);
    }
  }
  // They stand there already; whether they outlast a loss of power is all that is left open.
  for (const FileToWrite& file : files) SyncFolderOf(file.path).IgnoreError();
  return absl::OkStatus();
}

namespace {

// The certificate with what it was sent with; fits the key, and is in its life.
absl::StatusOr<std::vector<X509Pointer>> LoadOwn(const TlsFiles& files, absl::Time now,
                                                 TlsMaterial& into) {
  ASSIGN_OR_RETURN(into.certificate_pem, ReadWholeFile(files.certificate, kMaxPemBytes));
  ASSIGN_OR_RETURN(into.key_pem, ReadSecretFile(files.key, kMaxPemBytes));
  ASSIGN_OR_RETURN(std::vector<X509Pointer> chain,
                   ParseCertificatesPem(into.certificate_pem, files.certificate));
  ASSIGN_OR_RETURN(const KeyPointer key, ParseKeyPem(into.key_pem.Reveal(), files.key));
  if (X509_check_private_key(chain.front().get(), key.get()) != 1) {
    OpensslError();
    return absl::FailedPreconditionError(
        absl::StrCat(files.key, ": does not belong to the certificate in ", files.certificate));
  }
  RETURN_IF_ERROR(CheckCertificateTime(*chain.front(), now, files.certificate));
  return chain;
}

}  // namespace

absl::StatusOr<TlsMaterial> LoadTlsFiles(const TlsFiles& files, absl::Time now) {
  TlsMaterial material;
  ASSIGN_OR_RETURN(const std::vector<X509Pointer> chain, LoadOwn(files, now, material));
  ASSIGN_OR_RETURN(material.ca_pem, ReadWholeFile(files.ca, kMaxPemBytes));
  ASSIGN_OR_RETURN(const std::vector<X509Pointer> authorities,
                   ParseCertificatesPem(material.ca_pem, files.ca));
  for (const X509Pointer& authority : authorities) {
    RETURN_IF_ERROR(CheckCertificateTime(*authority, now, files.ca));
  }
  RETURN_IF_ERROR(CheckIssued(chain, authorities, files));
  absl::StatusOr<PeerCertificate> own = ReadPeerCertificate(*chain.front());
  if (!own.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(files.certificate, ": ", own.status().message()));
  }
  material.own = *std::move(own);
  return material;
}

absl::StatusOr<TlsMaterial> LoadBrowserFacingFiles(const TlsFiles& files, absl::Time now) {
  TlsMaterial material;
  ASSIGN_OR_RETURN(const std::vector<X509Pointer> chain, LoadOwn(files, now, material));
  material.own.not_before = CertificateNotBefore(*chain.front());
  material.own.not_after = CertificateNotAfter(*chain.front());
  return material;
}

TlsFilesWatch::TlsFilesWatch(TlsFiles files) : files_(std::move(files)), version_(Version()) {}

bool TlsFilesWatch::Changed() {
  std::string version = Version();
  if (version.empty() || version == version_) return false;
  version_ = std::move(version);
  return true;
}

std::string TlsFilesWatch::Version() const {
  std::string version;
  for (const std::string* path : {&files_.certificate, &files_.key, &files_.ca}) {
    if (path->empty()) continue;
    struct stat status {};
    if (stat(path->c_str(), &status) != 0) return "";
    absl::StrAppend(&version, status.st_dev, "/", status.st_ino, "/", status.st_size, "/",
                    status.st_mtim.tv_sec, ".", status.st_mtim.tv_nsec, ";");
  }
  return version;
}

}  // namespace werkplek
