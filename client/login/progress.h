// What `connect` tells while it waits.
#pragma once

#include <ostream>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/login/messages.h"
#include "werkplek/v1/session.pb.h"

namespace werkplek {

// One stage in the person's language; empty for `refused`, which is no progress. Pure.
std::string DescribeStage(const v1::ConnectUpdate& update, absl::Time now, Language language);

// Why a pool or its desktops are not given, by the broker's rule ("pool-full"). Pure.
std::string DescribeRule(absl::string_view rule, Language language);

// Why nothing was given, with all that helps, in the person's language. Pure.
std::string DescribeRefusal(const v1::Refused& refused, absl::string_view pool, Language language);

// On a terminal one line that is written over, elsewhere a line for each new text.
class ProgressLine {
 public:
  // `width`: columns of the terminal that `out` is; 0: it is none.
  ProgressLine(std::ostream& out, int width) : out_(out), width_(width) {}
  ~ProgressLine() { Clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void Show(const std::string& text);
  // Takes the live line away.
  void Clear();

 private:
  std::ostream& out_;
  const int width_;
  std::string shown_;
};

}  // namespace werkplek
