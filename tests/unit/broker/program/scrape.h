// Reads a metrics page as Prometheus does.
#pragma once

#include <string>

namespace werkplek {

// The whole answer of http://127.0.0.1:PORT/metrics; empty: nobody answers.
std::string ScrapeMetrics(int port);

}  // namespace werkplek
