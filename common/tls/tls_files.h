// The certificate, key and authority of one machine, as files.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/crypto.h"
#include "common/tls/certificate.h"

namespace werkplek {

struct TlsFiles {
  // PEM: the machine's own certificate, then what stands between it and the authority.
  std::string certificate;
  // PEM, without a password; others must have no access to it.
  std::string key;
  // PEM: the only authority (or authorities) that peers are judged by. Empty: no peer is.
  std::string ca;
};

struct TlsMaterial {
  std::string certificate_pem;
  Secret key_pem;
  std::string ca_pem;
  PeerCertificate own;
};

// Reads a file of at most `max_bytes`. Errors name the file and what to do.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t max_bytes);

// As ReadWholeFile, for what only its owner (and at most the owner's group, to read) may see.
// PERMISSION_DENIED when others have any access or the group may write: says which chmod helps.
absl::StatusOr<Secret> ReadSecretFile(const std::string& path, size_t max_bytes);

// Writes a temporary file beside `path`, flushes it and renames it over. `mode` e.g. 0600.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view content, int mode);

struct FileToWrite {
  std::string path;
  absl::string_view content;
  int mode = 0600;
  // Those of its group who may read the file that it replaces may read it too.
  bool keep_group = false;
};
// As WriteFileAtomically for files that belong together: all are flushed before the first is
// renamed, so that they part only when the machine dies between two renames.
absl::Status WriteFilesTogether(const std::vector<FileToWrite>& files);

// Reads and checks all three: readable, parse, key fits certificate, certificate is in its life at
// `now`, names one Werkplek identity, and was issued by the authority. Every error names the file.
absl::StatusOr<TlsMaterial> LoadTlsFiles(const TlsFiles& files, absl::Time now);

// As LoadTlsFiles for a port that browsers judge: any authority and any name will do, `ca` is not
// read, and of `own` only the times are set.
absl::StatusOr<TlsMaterial> LoadBrowserFacingFiles(const TlsFiles& files, absl::Time now);

// Tells when the files have changed, by their identities, sizes and times. Thread-compatible.
class TlsFilesWatch {
 public:
  explicit TlsFilesWatch(TlsFiles files);
  // True once per change since the last call (or since construction). A file that is missing for
  // the moment counts as unchanged: the renewal is under way.
  bool Changed();
  const TlsFiles& files() const { return files_; }

 private:
  // Empty: a file is missing.
  std::string Version() const;
  const TlsFiles files_;
  std::string version_;
};

}  // namespace werkplek
