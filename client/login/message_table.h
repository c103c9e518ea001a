// The messages of `werkplek`, in the order of `Message`. Included by messages.cc alone.
#pragma once

#include <array>

#include "client/login/messages.h"

namespace werkplek {

inline constexpr auto kMessageTable = std::to_array<MessageRow>({
    {Message::kAbout, "Sign in and open your desktop.", "Meld je aan en open je bureaublad."},
    {Message::kHelpFooter,
     "Examples:\n"
     "  werkplek sign-in --user jan     asks for the password and the one-time code\n"
     "  werkplek list                   which desktops you may use\n"
     "  werkplek connect kantoor        opens your desktop of the pool 'kantoor'\n"
     "  werkplek disconnect             closes the screen, your work stays open\n"
     "  werkplek end                    ends the session, a floating desktop is wiped\n"
     "\n"
     "Exit codes: 0 done, 1 wrong command, 2 refused, 3 not signed in or sign-in failed,\n"
     "4 unavailable (try again later), 5 a problem on this machine, 130 interrupted.",
     "Voorbeelden:\n"
     "  werkplek sign-in --user jan     vraagt het wachtwoord en de eenmalige code\n"
     "  werkplek list                   welke bureaubladen je mag gebruiken\n"
     "  werkplek connect kantoor        opent je bureaublad uit de pool 'kantoor'\n"
     "  werkplek disconnect             sluit het scherm, je werk blijft openstaan\n"
     "  werkplek end                    beëindigt de sessie, een wisselbureaublad wordt gewist\n"
     "\n"
     "Afsluitcodes: 0 gelukt, 1 verkeerde opdracht, 2 geweigerd, 3 niet aangemeld of aanmelden\n"
     "mislukt, 4 niet beschikbaar (probeer het later), 5 een probleem op dit apparaat,\n"
     "130 onderbroken."},
    {Message::kHelpUsage, "Usage", "Gebruik"},
    {Message::kHelpOptions, "Options", "Opties"},
    {Message::kHelpSubcommands, "Commands", "Opdrachten"},
    {Message::kHelpArguments, "Arguments", "Argumenten"},
    {Message::kHelpOptionsWord, "OPTIONS", "OPTIES"},
    {Message::kHelpCommandWord, "COMMAND", "OPDRACHT"},
    {Message::kHelpRequiredWord, "(required)", "(verplicht)"},
    {Message::kHelpHelp, "Show this help", "Toon deze hulp"},
    {Message::kHelpVersion, "Show the version", "Toon de versie"},
    {Message::kHelpConfig,
     "Configuration file (default: ~/.config/werkplek/config.yaml, then /etc/werkplek/client.yaml)",
     "Configuratiebestand (anders: ~/.config/werkplek/config.yaml, dan /etc/werkplek/client.yaml)"},
    {Message::kHelpLanguage, "Language of the messages: nl or en",
     "Taal van de meldingen: nl of en"},
    {Message::kHelpOutput, "Form of the result: table, json or yaml",
     "Vorm van het resultaat: table, json of yaml"},
    {Message::kHelpSignIn,
     "Sign in with password and one-time code (asked for, or two lines on standard input)",
     "Aanmelden met wachtwoord en eenmalige code (gevraagd, of twee regels op standaardinvoer)"},
    {Message::kHelpUser, "Your user name; asked for when left out",
     "Je gebruikersnaam; wordt gevraagd als hij ontbreekt"},
    {Message::kHelpList, "Show the pools that you may use, and your sessions",
     "Toon de pools die je mag gebruiken, en je sessies"},
    {Message::kHelpConnect, "Get a desktop of a pool and open its screen",
     "Krijg een bureaublad uit een pool en open het scherm"},
    {Message::kHelpPool, "The pool's name, as `werkplek list` shows it",
     "De naam van de pool, zoals `werkplek list` hem toont"},
    {Message::kHelpSpice, "Open no viewer: print a local socket for a SPICE viewer of your own",
     "Open geen kijkprogramma: geef een lokale socket voor een eigen SPICE-programma"},
    {Message::kHelpVnc, "Show the screen over VNC, through a local port that opens once",
     "Toon het scherm via VNC, door een lokale poort die één keer opengaat"},
    {Message::kHelpScreenshot, "Save a picture of the screen as a PNG file, and finish",
     "Bewaar een afbeelding van het scherm als PNG-bestand, en stop"},
    {Message::kHelpNoViewer, "Open no viewer: print where one can connect",
     "Open geen kijkprogramma: toon waar er een kan verbinden"},
    {Message::kHelpDisconnect, "Close the screen; your work stays open",
     "Sluit het scherm; je werk blijft openstaan"},
    {Message::kHelpOwnPool, "The session's pool; not needed when you have one session",
     "De pool van de sessie; niet nodig als je één sessie hebt"},
    {Message::kHelpEnd, "End the session; a floating desktop is wiped",
     "Beëindig de sessie; een wisselbureaublad wordt gewist"},
    {Message::kHelpYes, "Do not ask for a confirmation", "Vraag geen bevestiging"},
    {Message::kHelpSignOut, "Sign out; sessions stay as their pool says",
     "Afmelden; sessies blijven zoals hun pool bepaalt"},
    {Message::kHelpStatus, "Show the brokers, this machine's certificate and your sign-in",
     "Toon de brokers, het certificaat van dit apparaat en je aanmelding"},
    {Message::kHelpJoin, "Give this machine its certificate, with the code of an administrator",
     "Geef dit apparaat zijn certificaat, met de code van een beheerder"},
    {Message::kHelpJoinUrl, "Where to join: https://ADDRESS:PORT/v1/join",
     "Waar: https://ADRES:POORT/v1/join"},
    {Message::kHelpJoinCode, "The one-time code; '-' reads it from standard input",
     "De eenmalige code; '-' leest hem van standaardinvoer"},
    {Message::kHelpJoinCa, "SHA-256 of the authority's certificate, hexadecimal",
     "SHA-256 van het certificaat van de autoriteit, hexadecimaal"},
    {Message::kHelpJoinBroker, "A broker to sign in at; repeat it for more",
     "Een broker om je bij aan te melden; herhaal voor meer"},
    {Message::kHelpCompletion, "Print a completion script for bash",
     "Geef een aanvulscript voor bash"},

    {Message::kAskUser, "User name: ", "Gebruikersnaam: "},
    {Message::kAskPassword, "Password: ", "Wachtwoord: "},
    {Message::kAskCode, "One-time code: ", "Eenmalige code: "},
    {Message::kUserMissing, "whose sign-in? Add --user NAME",
     "wie meldt zich aan? Geef --user NAAM"},
    {Message::kSignedIn, "Signed in as {name}, until {until} at the latest.",
     "Aangemeld als {name}, uiterlijk tot {until}."},
    {Message::kSignedInIdle, "Unused for {minutes} minutes, the sign-in ends earlier.",
     "Na {minutes} minuten zonder gebruik eindigt de aanmelding eerder."},
    {Message::kNotice, "Please note: {notice}", "Let op: {notice}"},
    {Message::kSignedOut, "Signed out.", "Afgemeld."},
    {Message::kSignInFailed,
     "The sign-in failed. Check the user name, the password and the one-time code (a code works "
     "once: wait for the next one).",
     "Aanmelden mislukt. Controleer de gebruikersnaam, het wachtwoord en de eenmalige code (een "
     "code werkt één keer: wacht op de volgende)."},
    {Message::kSignInFirst, "You are not signed in (any more). Run: werkplek sign-in",
     "Je bent niet (meer) aangemeld. Geef: werkplek sign-in"},
    {Message::kNotRenewed,
     "This machine's certificate could not be renewed ({reason}); tell the help desk soon.",
     "Het certificaat van dit apparaat kon niet worden vernieuwd ({reason}); meld het bij de "
     "helpdesk."},

    {Message::kNoPools,
     "There is no pool that you may use. Ask the help desk for access if you expected one.",
     "Er is geen pool die je mag gebruiken. Vraag de helpdesk om toegang als je er een "
     "verwachtte."},
    {Message::kColumnPool, "POOL", "POOL"},
    {Message::kColumnDescription, "DESCRIPTION", "OMSCHRIJVING"},
    {Message::kColumnSession, "YOUR SESSION", "JE SESSIE"},
    {Message::kColumnAvailable, "AVAILABLE", "BESCHIKBAAR"},
    {Message::kYes, "yes", "ja"},
    {Message::kNo, "no: {reason}", "nee: {reason}"},
    {Message::kNone, "-", "-"},
    {Message::kSessionPending, "{desktop}, being prepared", "{desktop}, wordt voorbereid"},
    {Message::kSessionReady, "{desktop}, ready", "{desktop}, klaar"},
    {Message::kSessionActive, "{desktop}, screen open", "{desktop}, scherm open"},
    {Message::kSessionDisconnected, "{desktop}, screen closed", "{desktop}, scherm gesloten"},
    {Message::kSessionEnding, "{desktop}, ending", "{desktop}, wordt beëindigd"},
    {Message::kSessionEnded, "{desktop}, ended", "{desktop}, beëindigd"},

    {Message::kConnecting, "Asking for a desktop of {pool}", "Bureaublad uit {pool} aanvragen"},
    {Message::kQueued, "Waiting for a desktop: position {position}, at most {left} longer",
     "Wachten op een bureaublad: plaats {position}, hooguit nog {left}"},
    {Message::kStarting, "Starting {desktop}", "{desktop} wordt gestart"},
    {Message::kPreparing, "Preparing {desktop} for you", "{desktop} wordt voor je klaargezet"},
    {Message::kOpening, "Opening the screen of {desktop}",
     "Het scherm van {desktop} wordt geopend"},
    {Message::kResumed, "Resuming your session on {desktop}",
     "Je sessie op {desktop} wordt hervat"},
    {Message::kRetrying, "{broker} does not answer; trying again",  //
     "{broker} antwoordt niet; nog een poging"},
    {Message::kRefused, "No desktop of {pool}: {reason}", "Geen bureaublad uit {pool}: {reason}"},
    {Message::kRefusedHelp, "The help desk can see why with the number {id}.",
     "De helpdesk kan zien waarom met het nummer {id}."},
    {Message::kRuleNoEntitlement, "you have no access to this pool; ask the help desk for it.",
     "je hebt geen toegang tot deze pool; vraag de helpdesk erom."},
    {Message::kRulePoolFull, "all desktops are in use; try again later.",
     "alle bureaubladen zijn bezet; probeer het later."},
    {Message::kRuleQueueFull, "too many people are waiting already; try again later.",
     "er wachten al te veel mensen; probeer het later."},
    {Message::kRuleDeadline, "none came free in time; try again.",
     "er kwam er niet op tijd een vrij; probeer het nog eens."},
    {Message::kRulePoolDraining, "the pool is being closed for maintenance.",
     "de pool wordt gesloten voor onderhoud."},
    {Message::kRulePoolMaintenance, "the pool is in maintenance.", "de pool is in onderhoud."},
    {Message::kRulePoolBroken, "its desktops do not start at the moment; the administrators know.",
     "de bureaubladen starten nu niet; de beheerders weten ervan."},
    {Message::kRuleOther, "{reason}", "{reason}"},
    {Message::kSocketReady, "Open spice+unix://{path} within {seconds} seconds.",
     "Open spice+unix://{path} binnen {seconds} seconden."},
    {Message::kPortReady, "Open vnc://127.0.0.1:{port} within {seconds} seconds.",
     "Open vnc://127.0.0.1:{port} binnen {seconds} seconden."},
    {Message::kViewerMissing,
     "The viewer '{viewer}' cannot be started ({reason}). Install the package virt-viewer, or set "
     "'viewer' in the configuration.",
     "Het kijkprogramma '{viewer}' start niet ({reason}). Installeer het pakket virt-viewer, of "
     "zet "
     "'viewer' in de configuratie."},
    {Message::kViewerFailed, "The viewer '{viewer}' stopped with code {code}.",
     "Het kijkprogramma '{viewer}' stopte met code {code}."},
    {Message::kDisplayClosed, "The screen is closed.", "Het scherm is gesloten."},
    {Message::kDisplayFailed, "The screen could not be opened: {reason}",
     "Het scherm kon niet worden geopend: {reason}"},
    {Message::kScreenshotSaved, "Saved {width}x{height} pixels in {file}.",
     "{width}x{height} beeldpunten bewaard in {file}."},
    {Message::kStillYours,
     "Your session stays open for now. Back to it: werkplek connect {pool}. End it: werkplek end "
     "{pool}.",
     "Je sessie blijft voorlopig open. Terug: werkplek connect {pool}. Beëindigen: werkplek end "
     "{pool}."},
    {Message::kStreamEnded, "The broker stopped without giving a desktop.",
     "De broker stopte zonder een bureaublad te geven."},
    {Message::kOneDisplay, "give only one of --spice, --vnc and --screenshot",
     "geef maar één van --spice, --vnc en --screenshot"},

    {Message::kDisconnected, "The screen of {pool} is closed; your work stays open.",
     "Het scherm van {pool} is gesloten; je werk blijft openstaan."},
    {Message::kNoSession, "You have no session.", "Je hebt geen sessie."},
    {Message::kNoSessionIn, "You have no session in {pool}.", "Je hebt geen sessie in {pool}."},
    {Message::kSeveralSessions, "You have several sessions; name one of: {pools}",
     "Je hebt meer sessies; noem er een van: {pools}"},
    {Message::kConfirmEnd,
     "End your session in {pool}? What you did not save elsewhere may be lost.",
     "Je sessie in {pool} beëindigen? Wat je niet elders hebt bewaard kan verloren gaan."},
    {Message::kKept, "Nothing changed.", "Er is niets veranderd."},
    {Message::kEnded, "Your session in {pool} has ended.", "Je sessie in {pool} is beëindigd."},

    {Message::kJoined, "This machine is {name} now; its certificate is good until {until}.",
     "Dit apparaat is nu {name}; het certificaat geldt tot {until}."},
    {Message::kJoinWrote, "Wrote {file}.", "{file} geschreven."},
    {Message::kNeedsConfig, "say with --config where the configuration is to be written",
     "zeg met --config waar de configuratie moet komen"},
    {Message::kStatusBrokers, "Brokers:", "Brokers:"},
    {Message::kStatusAnswers, "answers", "antwoordt"},
    {Message::kStatusSilent, "does not answer ({reason})", "antwoordt niet ({reason})"},
    {Message::kStatusMachine, "This machine: {name}, certificate good until {until}",
     "Dit apparaat: {name}, certificaat geldig tot {until}"},
    {Message::kStatusSignIn, "Sign-in: {name}", "Aanmelding: {name}"},
    {Message::kStatusNotSignedIn, "Sign-in: none", "Aanmelding: geen"},
    {Message::kStatusUntil, "until {until} at the latest", "uiterlijk tot {until}"},

    {Message::kError, "werkplek: {reason}", "werkplek: {reason}"},
    {Message::kUsage, "See: werkplek {command}--help", "Zie: werkplek {command}--help"},
    {Message::kUnavailable, "The service is not available: {reason}",
     "De dienst is niet beschikbaar: {reason}"},
    {Message::kTryAgain, "Try again in a moment; if it stays like this, tell the help desk.",
     "Probeer het zo nog eens; blijft het zo, meld het dan bij de helpdesk."},
});

}  // namespace werkplek
