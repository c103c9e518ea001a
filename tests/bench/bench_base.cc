#include "tests/bench/bench_base.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/crypto.h"

namespace werkplek {

absl::StatusOr<std::vector<BenchPerson>> ReadPeople(const std::string& file) {
  std::ifstream lines(file);
  if (!lines) return absl::NotFoundError(absl::StrCat(file, ": cannot be read"));
  std::vector<BenchPerson> people;
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> columns = absl::StrSplit(line, '\t');
    if (columns.size() < 2) return absl::InvalidArgumentError(absl::StrCat(file, ": a bad line"));
    BenchPerson& person = people.emplace_back();
    person.user = columns[0];
    person.password = columns[1];
    if (columns.size() == 3) person.seed = absl::HexStringToBytes(columns[2]);
  }
  if (people.empty()) return absl::InvalidArgumentError(absl::StrCat(file, ": nobody is in it"));
  return people;
}

absl::Status WritePeople(const std::string& file, const std::vector<BenchPerson>& people) {
  std::ofstream lines(file);
  for (const BenchPerson& person : people) {
    lines << person.user << '\t' << person.password << '\t' << HexEncode(person.seed) << '\n';
  }
  lines.close();
  if (!lines) return absl::UnavailableError(absl::StrCat(file, ": cannot be written"));
  return absl::OkStatus();
}

absl::Duration BenchClock() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return absl::DurationFromTimespec(now);
}

std::map<int, absl::Duration> CpuTimes(const std::vector<int>& pids) {
  std::map<int, absl::Duration> times;
  for (const int pid : pids) {
    std::ifstream file(pid == 0 ? "/proc/self/stat" : absl::StrCat("/proc/", pid, "/stat"));
    std::string text;
    std::getline(file, text);
    // The name, in parentheses, may hold anything. After it: state, and 11 more until utime, stime.
    const std::vector<std::string> fields = absl::StrSplit(text.substr(text.rfind(')') + 1), ' ');
    int64_t ticks = 0;
    for (const size_t at : {12, 13}) {
      int64_t part = 0;
      if (fields.size() > at && absl::SimpleAtoi(fields[at], &part)) ticks += part;
    }
    times[pid] = absl::Seconds(ticks) / sysconf(_SC_CLK_TCK);
  }
  return times;
}

std::map<int, absl::Duration> CpuSince(const std::map<int, absl::Duration>& before) {
  std::vector<int> pids;
  for (const auto& [pid, time] : before) pids.push_back(pid);
  std::map<int, absl::Duration> since = CpuTimes(pids);
  for (auto& [pid, time] : since) time -= before.at(pid);
  return since;
}

double PercentileMs(std::vector<absl::Duration>& values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double rank = std::ceil(share * static_cast<double>(values.size()));
  const size_t at = std::max<size_t>(1, static_cast<size_t>(rank)) - 1;
  return absl::ToDoubleMilliseconds(values[std::min(at, values.size() - 1)]);
}

std::string ToJson(LoadResult result) {
  nlohmann::json json;
  json["done"] = result.done;
  json["failed"] = result.failed;
  json["failure"] = result.failure;
  json["seconds"] = absl::ToDoubleSeconds(result.took);
  json["per_second"] = result.took > absl::ZeroDuration()
                           ? static_cast<double>(result.done) / absl::ToDoubleSeconds(result.took)
                           : 0.0;
  json["p50_ms"] = PercentileMs(result.latencies, 0.5);
  json["p99_ms"] = PercentileMs(result.latencies, 0.99);
  json["cpu_us"] = nlohmann::json::object();
  for (const auto& [pid, time] : result.cpu) {
    if (result.done == 0) break;
    json["cpu_us"][absl::StrCat(pid)] =
        absl::ToDoubleMicroseconds(time) / static_cast<double>(result.done);
  }
  return json.dump();
}

}  // namespace werkplek
