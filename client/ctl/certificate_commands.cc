#include "client/ctl/certificate_commands.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace werkplek {

void RevokeCertificatesCommand::Define(CLI::App& app) {
  app.add_option("PEER", peer_, "host/NAME, client/NAME, gateway/NAME, admin/NAME or broker/NAME")
      ->required()
      ->type_name("");
  app.add_option("--reason", reason_, "Why, for the audit")->required()->type_name("TEXT");
}

absl::Status RevokeCertificatesCommand::Run(CommandContext& context) {
  v1::RevokeCertificatesRequest request;
  request.set_request_id(NewRequestId());
  request.set_peer(peer_);
  request.set_reason(reason_);
  RETURN_IF_ERROR(Confirm(context, absl::StrCat("Revoke every certificate of ", Printable(peer_),
                                                "? Whoever is signed in there is signed out.")));
  ASSIGN_OR_RETURN(const v1::RevokeCertificatesResponse response,
                   CallAdmin(context, &v1::AdminService::Stub::RevokeCertificates, request));
  Show(context, response, [&](std::ostream& out, int) {
    out << "The certificates of " << Printable(peer_)
        << " are refused from now on. To let it join anew, give it a new code (host, client, "
           "gateway or admin `add NAME`).\n";
  });
  return absl::OkStatus();
}

void ListRevocationsCommand::Define(CLI::App&) {}

absl::Status ListRevocationsCommand::Run(CommandContext& context) {
  ASSIGN_OR_RETURN(
      const v1::ListRevocationsResponse all,
      CallAllPages(context, &v1::AdminService::Stub::ListRevocations, v1::ListRevocationsRequest(),
                   [](const v1::ListRevocationsResponse& page, v1::ListRevocationsRequest& next) {
                     if (!page.revocations().empty()) {
                       next.set_after(page.revocations().rbegin()->peer());
                     }
                   }));
  Show(context, all, [&](std::ostream& out, int width) {
    if (all.revocations().empty()) {
      out << "No certificates were revoked.\n";
      return;
    }
    Table table({"MACHINE", "ISSUED BEFORE", "BY", "REASON"}, {"REASON"});
    for (const v1::RevocationView& revocation : all.revocations()) {
      table.AddRow({revocation.peer(), TimeCell(context, revocation.issued_before_unix_ms(), width),
                    revocation.by(), revocation.reason()});
    }
    out << table.Render(width);
  });
  return absl::OkStatus();
}

}  // namespace werkplek
