// What machines are given, as the audit has it. Join codes and certificates are made by the
// certificate office (common/pki); neither is handed over before its record is durable.
#pragma once

#include <string>

#include "broker/core/tokens.h"
#include "broker/core/turn.h"

namespace werkplek {

// Records that a join code was made. The answer is empty: the code itself is not for the store.
// INVALID_ARGUMENT: nothing that the office would make a code for.
CallAnswer AddJoinCode(Turn& turn, const CallRequested& event,
                       const v1::AddJoinCodeRequest& request, const std::string& actor);

// Records that a machine was given a certificate, and answers so.
void HandleCertificateIssued(Turn& turn, const CertificateIssued& event);

}  // namespace werkplek
