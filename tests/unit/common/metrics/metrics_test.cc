#include "common/metrics/metrics.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace werkplek {
namespace {

using testing::HasSubstr;

// One HTTP GET over a plain socket.
std::string Scrape(int port) {
  const int socket_fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const std::string request = "GET /metrics HTTP/1.0\r\n\r\n";
  EXPECT_EQ(write(socket_fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t got; (got = read(socket_fd, buffer, sizeof buffer)) > 0;) answer.append(buffer, got);
  close(socket_fd);
  return answer;
}

TEST(MetricsTest, ServesWhatWasCountedObservedAndSet) {
  Metrics metrics;
  ASSERT_TRUE(metrics.Serve("127.0.0.1:0").ok());
  metrics.Count("werkplek_sign_ins_total", "Sign-ins.", {{"outcome", "ok"}});
  metrics.Count("werkplek_sign_ins_total", "Sign-ins.", {{"outcome", "ok"}});
  metrics.ObserveSeconds("werkplek_stage_seconds", "Stages.", {{"stage", "directory"}},
                         absl::Milliseconds(3));
  metrics.BeforeScrape([&] { metrics.SetGauge("werkplek_spares", "Spares.", {{"pool", "p"}}, 7); });
  const std::string text = Scrape(metrics.port());
  EXPECT_THAT(text, HasSubstr("werkplek_sign_ins_total{outcome=\"ok\"} 2"));
  EXPECT_THAT(text, HasSubstr("werkplek_stage_seconds_bucket{stage=\"directory\",le=\"0.005\"} 1"));
  EXPECT_THAT(text, HasSubstr("werkplek_stage_seconds_bucket{stage=\"directory\",le=\"0.002\"} 0"));
  EXPECT_THAT(text, HasSubstr("werkplek_spares{pool=\"p\"} 7"));
}

TEST(MetricsTest, AGaugeThatIsClearedIsNotThereUntilItIsSetAgain) {
  Metrics metrics;
  ASSERT_TRUE(metrics.Serve("127.0.0.1:0").ok());
  metrics.ClearGauge("werkplek_spares");
  metrics.SetGauge("werkplek_spares", "Spares.", {{"pool", "p"}}, 7);
  metrics.SetGauge("werkplek_spares", "Spares.", {{"pool", "q"}}, 8);
  metrics.SetGauge("werkplek_hosts", "Hosts.", {}, 2);
  metrics.ClearGauge("werkplek_spares");
  const std::string cleared = Scrape(metrics.port());
  EXPECT_THAT(cleared, testing::Not(HasSubstr("werkplek_spares")));
  EXPECT_THAT(cleared, HasSubstr("werkplek_hosts 2"));
  metrics.SetGauge("werkplek_spares", "Spares.", {{"pool", "q"}}, 9);
  const std::string again = Scrape(metrics.port());
  EXPECT_THAT(again, HasSubstr("werkplek_spares{pool=\"q\"} 9"));
  EXPECT_THAT(again, testing::Not(HasSubstr("pool=\"p\"")));
}

TEST(MetricsTest, ServesOnLoopbackOnly) {
  Metrics metrics;
  EXPECT_EQ(metrics.Serve("0.0.0.0:0").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(metrics.Serve("192.0.2.1:9464").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(metrics.port(), 0);
}

TEST(MetricsTest, SaysWhenThePortIsTaken) {
  Metrics first;
  ASSERT_TRUE(first.Serve("127.0.0.1:0").ok());
  Metrics second;
  EXPECT_EQ(second.Serve("127.0.0.1:" + std::to_string(first.port())).code(),
            absl::StatusCode::kUnavailable);
}

TEST(MetricsTest, LabelCombinationsAreBounded) {
  Metrics metrics;
  ASSERT_TRUE(metrics.Serve("127.0.0.1:0").ok());
  for (int i = 0; i < 1200; ++i) metrics.Count("many_total", "Many.", {{"n", std::to_string(i)}});
  const std::string text = Scrape(metrics.port());
  EXPECT_THAT(text, HasSubstr("many_total{n=\"999\"} 1"));
  EXPECT_THAT(text, HasSubstr("many_total{n=\"other\"} 200"));
  EXPECT_THAT(text, testing::Not(HasSubstr("many_total{n=\"1000\"}")));
}

}  // namespace
}  // namespace werkplek
