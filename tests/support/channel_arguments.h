// What a channel is made with.
#pragma once

#include "absl/strings/string_view.h"
#include "grpcpp/support/channel_arguments.h"

namespace werkplek {

// The number under the key; -1: it is not set.
inline int ArgumentOf(const grpc::ChannelArguments& arguments, absl::string_view key) {
  const grpc_channel_args all = arguments.c_channel_args();
  for (size_t i = 0; i < all.num_args; ++i) {
    if (all.args[i].key == key) return all.args[i].value.integer;
  }
  return -1;
}

}  // namespace werkplek
