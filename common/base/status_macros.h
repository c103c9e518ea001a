// Early returns for absl::Status and absl::StatusOr.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define WERKPLEK_CONCAT_INNER(a, b) a##b
#define WERKPLEK_CONCAT(a, b) WERKPLEK_CONCAT_INNER(a, b)

// Returns from the function when `expression` is a failed absl::Status.
#define RETURN_IF_ERROR(expression)                                         \
  do {                                                                      \
    if (absl::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

// `ASSIGN_OR_RETURN(auto x, F())`: x is F()'s value, or the function returns F()'s status.
#define ASSIGN_OR_RETURN(target, expression) \
  ASSIGN_OR_RETURN_IMPL(WERKPLEK_CONCAT(statusor_, __LINE__), target, expression)
#define ASSIGN_OR_RETURN_IMPL(temporary, target, expression) \
  auto temporary = (expression);                             \
  if (!temporary.ok()) return std::move(temporary).status(); \
  target = *std::move(temporary)
