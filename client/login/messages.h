// Everything that `werkplek` says, in Dutch and English. Pure.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace werkplek {

enum class Language { kEnglish, kDutch };

// "nl", "nl_NL.UTF-8" and the like are Dutch; everything else English.
Language ParseLanguage(absl::string_view name);
// "nl" or "en".
absl::string_view LanguageCode(Language language);

enum class Message {
  // Help.
  kAbout,
  kHelpFooter,
  kHelpUsage,
  kHelpOptions,
  kHelpSubcommands,
  kHelpArguments,
  kHelpOptionsWord,
  kHelpCommandWord,
  kHelpRequiredWord,
  kHelpHelp,
  kHelpVersion,
  kHelpConfig,
  kHelpLanguage,
  kHelpOutput,
  kHelpSignIn,
  kHelpUser,
  kHelpList,
  kHelpConnect,
  kHelpPool,
  kHelpSpice,
  kHelpVnc,
  kHelpScreenshot,
  kHelpNoViewer,
  kHelpOutside,
  kHelpDisconnect,
  kHelpOwnPool,
  kHelpEnd,
  kHelpYes,
  kHelpSignOut,
  kHelpStatus,
  kHelpJoin,
  kHelpJoinUrl,
  kHelpJoinCode,
  kHelpJoinCa,
  kHelpJoinBroker,
  kHelpJoinGroup,
  kHelpCompletion,
  // Sign-in.
  kAskUser,
  kAskPassword,
  kAskCode,
  kUserMissing,
  kPasswordMissing,
  kSignedIn,
  kSignedInIdle,
  kNotice,
  kSignedOut,
  kSignInFailed,
  kSignInPaused,
  kSignInFirst,
  kNotRenewed,
  // Lists.
  kNoPools,
  kColumnPool,
  kColumnDescription,
  kColumnSession,
  kColumnAvailable,
  kColumnsLeftOut,
  kYes,
  kNo,
  kNone,
  kSessionPending,
  kSessionReady,
  kSessionActive,
  kSessionDisconnected,
  kSessionEnding,
  kSessionEnded,
  // Connecting.
  kConnecting,
  kQueued,
  kQueuedFor,
  kStarting,
  kPreparing,
  kOpening,
  kResumed,
  kRetrying,
  kRefused,
  kRefusedFor,
  kRefusedHelp,
  kRuleNoEntitlement,
  kRulePoolFull,
  kRuleQueueFull,
  kRuleDeadline,
  kRulePoolDraining,
  kRulePoolMaintenance,
  kRulePoolBroken,
  kRuleSiteBraked,
  kRuleSiteOpen,
  kRuleSiteLoss,
  kRuleHostOpen,
  kRuleHostSilent,
  kRuleStartFailed,
  kRuleOther,
  kSocketReady,
  kPortReady,
  kViewerMissing,
  kViewerFailed,
  kDisplayClosed,
  kDisplayFailed,
  kDisplayRefused,
  kNobodyOpened,
  kTakenOver,
  kOpeningAgain,
  kGatewayLost,
  kGatewaysLost,
  kNoGateway,
  kScreenshotSaved,
  kStillYours,
  kStreamEnded,
  kOneDisplay,
  // Disconnect and end.
  kDisconnected,
  kNoSession,
  kNoSessionIn,
  kSeveralSessions,
  kConfirmEnd,
  kYesOrNo,
  kNobodyToAsk,
  kKept,
  kEnded,
  // Join and status.
  kJoined,
  kJoinWrote,
  kNeedsConfig,
  kJoinRefused,
  kCodeMissing,
  kStatusBrokers,
  kStatusAnswers,
  kStatusSilent,
  kNoBrokerAnswers,
  kStatusMachine,
  kStatusSignIn,
  kStatusNotSignedIn,
  kStatusUntil,
  // Failures.
  kError,
  kUsage,
  // Wrong command lines.
  kMissingCommand,
  kUnknownCommand,
  kUnknownFlag,
  kTooManyWords,
  kNoWords,
  kMissingArgument,
  kMissingValue,
  kValueNotWanted,
  kBadChoice,
  kBadValue,
  kWrongCommandLine,
  kNearest,
  // More failures.
  kUnavailable,
  kTryAgain,
  kBrokerRefused,
  kInterrupted,
  kNoConfiguration,
  kBadConfiguration,
  kBadCertificate,
  kBadTokenFile,
  kLocalProblem,
  kNotWritten,
  kLast,  // Not a message.
};

// What stands for `{name}` in a message.
using MessageArgument = std::pair<absl::string_view, std::string>;

// The message with its placeholders filled in.
std::string Say(Language language, Message message,
                std::initializer_list<MessageArgument> arguments = {});

// Marks a failure whose words are in the person's language.
absl::Status ForThePerson(absl::Status failure);
// A failure that says `message` to the person.
absl::Status SayFailure(absl::StatusCode code, Language language, Message message,
                        std::initializer_list<MessageArgument> arguments = {});
// Whether it was marked. What others say is English, and for the help desk.
bool IsForThePerson(const absl::Status& failure);

// The table, for its test.
struct MessageRow {
  Message message;
  absl::string_view english;
  absl::string_view dutch;
};
absl::Span<const MessageRow> AllMessages();

}  // namespace werkplek
