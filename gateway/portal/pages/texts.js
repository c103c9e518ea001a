// Every text of the portal in both languages, in the words of the program `werkplek`.

// Key: [Dutch, English]. `{name}` is filled in.
const TEXTS = {
  signInTitle: ["Aanmelden", "Sign in"],
  user: ["Gebruikersnaam", "User name"],
  password: ["Wachtwoord", "Password"],
  code: ["Eenmalige code", "One-time code"],
  codeHelp: ["Zes cijfers. Een code werkt één keer.", "Six digits. A code works once."],
  signIn: ["Aanmelden", "Sign in"],
  signingIn: ["Bezig met aanmelden", "Signing in"],
  noAnswerYet: [
    "De dienst is even niet beschikbaar; nog een poging.",
    "The service is not available at the moment; trying again.",
  ],
  signOut: ["Afmelden", "Sign out"],
  signedOut: ["Afgemeld.", "Signed out."],
  signedIn: [
    "Aangemeld als {name}, uiterlijk tot {until}",
    "Signed in as {name}, until {until} at the latest",
  ],

  listTitle: ["Je bureaubladen", "Your desktops"],
  refresh: ["Vernieuwen", "Refresh"],
  notice: ["Let op: {notice}", "Please note: {notice}"],
  noPools: [
    "Er is geen pool die je mag gebruiken. Vraag de helpdesk om toegang als je er een verwachtte.",
    "There is no pool that you may use. Ask the help desk for access if you expected one.",
  ],
  open: ["Openen", "Open"],
  resume: ["Verder werken", "Resume"],
  end: ["Beëindigen", "End work"],
  available: ["Beschikbaar", "Available"],
  notAvailable: ["Niet beschikbaar: {reason}", "Not available: {reason}"],
  notAvailableNow: ["Nu niet beschikbaar.", "Not available at the moment."],
  pending: ["{desktop}, wordt voorbereid", "{desktop}, being prepared"],
  ready: ["{desktop}, klaar", "{desktop}, ready"],
  active: ["{desktop}, scherm open", "{desktop}, screen open"],
  disconnected: ["{desktop}, scherm gesloten", "{desktop}, screen closed"],
  ending: ["{desktop}, wordt beëindigd", "{desktop}, ending"],
  confirmEnd: [
    "Je sessie in {pool} beëindigen? Wat je niet elders hebt bewaard kan verloren gaan.",
    "End your session in {pool}? What you did not save elsewhere may be lost.",
  ],
  keep: ["Niet beëindigen", "Keep it"],
  ended: ["Je sessie in {pool} is beëindigd.", "Your session in {pool} has ended."],
  left: [
    "Het scherm van {pool} is gesloten; je werk blijft openstaan.",
    "The screen of {pool} is closed; your work stays open.",
  ],

  waitingTitle: ["Een ogenblik", "One moment"],
  asking: ["Bureaublad uit {pool} aanvragen", "Asking for a desktop of {pool}"],
  queued: [
    "Wachten op een bureaublad: plaats {position}, uiterlijk tot {until}",
    "Waiting for a desktop: position {position}, until {until} at the latest",
  ],
  starting: ["Je bureaublad wordt gestart", "Starting your desktop"],
  preparing: ["Je bureaublad wordt voor je klaargezet", "Preparing your desktop for you"],
  opening: ["Het scherm van {desktop} wordt geopend", "Opening the screen of {desktop}"],
  resumed: ["Je sessie op {desktop} wordt hervat", "Resuming your session on {desktop}"],
  retrying: [
    "De verbinding viel weg; nog een poging.",
    "The connection was lost; trying again.",
  ],
  retryingLater: [
    "Het is nu te druk; over {seconds} s nog een poging.",
    "It is too busy at the moment; trying again in {seconds} s.",
  ],
  cancel: ["Annuleren", "Cancel"],

  screen: [
    "Scherm van {desktop}. Ctrl+Alt+Home gaat naar de balk.",
    "Screen of {desktop}. Ctrl+Alt+Home goes to the bar.",
  ],
  bar: ["Balk van het bureaublad", "Bar of the desktop"],
  barHelp: ["Ctrl+Alt+Home: deze balk", "Ctrl+Alt+Home: this bar"],
  showBar: ["Balk tonen", "Show the bar"],
  type: ["Toetsenbord", "Keyboard"],
  fullScreen: ["Volledig scherm", "Full screen"],
  leave: ["Terug naar de lijst", "Back to the list"],
  lost: [
    "De verbinding met je bureaublad viel weg; opnieuw verbinden.",
    "The connection to your desktop was lost; connecting again.",
  ],
  lostForLong: [
    "Het scherm kwam niet terug. Probeer het zo nog eens.",
    "The screen did not come back. Try again in a moment.",
  ],
  newDesktop: [
    "Je eerdere bureaublad is verloren gegaan; dit is een nieuw. Wat je niet elders had bewaard, " +
      "is weg.",
    "Your earlier desktop was lost; this is a new one. What you had not saved elsewhere is gone.",
  ],
  startedAnew: [
    "Je bureaublad is opnieuw gestart. Wat je niet had bewaard, is weg.",
    "Your desktop was started anew. What you had not saved is gone.",
  ],
  understood: ["Begrepen", "Understood"],
  displayEnded: [
    "Het scherm van {desktop} is gesloten: het is elders geopend, beëindigd of verplaatst.",
    "The screen of {desktop} is closed: it was opened elsewhere, ended or moved.",
  ],

  refused: ["Geen bureaublad uit {pool}: {reason}", "No desktop of {pool}: {reason}"],
  refusedHelp: [
    "De helpdesk kan zien waarom met het nummer {id}.",
    "The help desk can see why with the number {id}.",
  ],
  "no-entitlement": [
    "je hebt geen toegang tot deze pool; vraag de helpdesk erom.",
    "you have no access to this pool; ask the help desk for it.",
  ],
  "pool-full": [
    "alle bureaubladen zijn bezet; probeer het later.",
    "all desktops are in use; try again later.",
  ],
  "queue-full": [
    "er wachten al te veel mensen; probeer het later.",
    "too many people are waiting already; try again later.",
  ],
  deadline: [
    "er kwam er niet op tijd een vrij; probeer het nog eens.",
    "none came free in time; try again.",
  ],
  "pool-draining": [
    "de pool wordt gesloten voor onderhoud.",
    "the pool is being closed for maintenance.",
  ],
  "pool-maintenance": ["de pool is in onderhoud.", "the pool is in maintenance."],
  "pool-broken": [
    "de bureaubladen starten nu niet; de beheerders weten ervan.",
    "its desktops do not start at the moment; the administrators know.",
  ],
  "site-braked": [
    "het datacenter van je bureaublad geeft geen antwoord; een beheerder moet zeggen of het " +
      "elders gestart mag worden.",
    "the datacenter of your desktop does not answer; an administrator must say whether it may be " +
      "started elsewhere.",
  ],
  "site-open": [
    "het datacenter van je bureaublad is in onderhoud.",
    "the datacenter of your desktop is in maintenance.",
  ],
  "site-loss": [
    "het datacenter van je bureaublad is uitgevallen.",
    "the datacenter of your desktop is lost.",
  ],
  "host-open": [
    "de machine waar je bureaublad op staat, is in onderhoud.",
    "the machine that your desktop is on is in maintenance.",
  ],
  "host-silent": [
    "de machine waar je bureaublad op staat, geeft geen antwoord; de beheerders weten ervan.",
    "the machine that your desktop is on does not answer; the administrators know.",
  ],
  "start-failed": [
    "je bureaublad start niet; vraag de helpdesk om hulp.",
    "your desktop does not start; ask the help desk.",
  ],

  "sign-in-failed": [
    "Aanmelden mislukt. Controleer de gebruikersnaam, het wachtwoord en de eenmalige code " +
      "(een code werkt één keer: wacht op de volgende).",
    "The sign-in failed. Check the user name, the password and the one-time code " +
      "(a code works once: wait for the next one).",
  ],
  "sign-in-paused": [
    "Voor deze gebruikersnaam zijn te veel verkeerde wachtwoorden geprobeerd. Wacht {minutes} " +
      "minuten, of meld je aan op een plek waar je dat eerder deed.",
    "Too many wrong passwords were tried for this user name. Wait {minutes} minutes, or sign in " +
      "at a place where you have done so before.",
  ],
  "taken-over": [
    "Je hebt dit bureaublad ergens anders geopend.",
    "You opened this desktop somewhere else.",
  ],
  "sign-in-first": [
    "Je bent niet (meer) aangemeld. Meld je opnieuw aan.",
    "You are not signed in (any more). Sign in again.",
  ],
  forbidden: ["Dit mag niet. {reason}", "This is not allowed. {reason}"],
  "not-found": [
    "Deze pool of sessie is er niet (meer).",
    "This pool or session is not there (any more).",
  ],
  "too-many": [
    "Het is nu te druk. Probeer het over {seconds} seconden nog eens.",
    "It is busy at the moment. Try again in {seconds} seconds.",
  ],
  "network-busy": [
    "Vanaf jouw netwerk komen nu te veel aanvragen. Met je wachtwoord en je code is niets mis, " +
      "en je werk blijft openstaan. Probeer het over {seconds} seconden nog eens; blijft het zo, " +
      "meld het dan bij de helpdesk.",
    "Too many requests come from your network at the moment. Nothing is wrong with your " +
      "password and your code, and your work stays open. Try again in {seconds} seconds; if it " +
      "stays like this, tell the help desk.",
  ],
  "gateway-full": [
    "Deze gateway is vol: er staan zoveel schermen open als hij aankan. Je werk blijft " +
      "openstaan. Probeer het over {seconds} seconden nog eens; blijft het zo, meld het dan bij " +
      "de helpdesk.",
    "This gateway is full: it shows as many screens as it can. Your work stays open. Try again " +
      "in {seconds} seconds; if it stays like this, tell the help desk.",
  ],
  unavailable: [
    "De dienst is niet beschikbaar. Probeer het zo nog eens; blijft het zo, meld het dan bij " +
      "de helpdesk.",
    "The service is not available. Try again in a moment; if it stays like this, tell the " +
      "help desk.",
  ],
  "stream-ended": [
    "De broker stopte zonder een bureaublad te geven.",
    "The broker stopped without giving a desktop.",
  ],
  other: ["Dat lukte niet: {reason}", "That did not work: {reason}"],

  // The other language's name, in that language.
  language: ["English", "Nederlands"],
};

const LANGUAGES = ["nl", "en"];
let language = firstLanguage();
let chosen = localStorage.getItem("language") !== null;

// The person's choice, else the browser's first one that we speak, else Dutch.
function firstLanguage() {
  const wanted = [localStorage.getItem("language"), ...navigator.languages];
  return wanted.map((name) => name?.slice(0, 2)).find((name) => LANGUAGES.includes(name)) ?? "nl";
}

export function currentLanguage() {
  return language;
}

export function switchLanguage() {
  language = language === "nl" ? "en" : "nl";
  chosen = true;
  keepLanguage();
  translate();
}

// Anew after a sign-out, with which the browser forgets what it kept for us.
export function keepLanguage() {
  if (chosen) localStorage.setItem("language", language);
}

export function hasText(key) {
  return Object.hasOwn(TEXTS, key);
}

// The text of `key`. A value that is itself {key, values} is a text, too.
export function textOf(key, values = {}) {
  return TEXTS[key][LANGUAGES.indexOf(language)].replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name] ?? "";
    if (value.key) return textOf(value.key, value.values);
    return value.unixMs ? timeOf(value.unixMs) : value;
  });
}

function timeOf(unixMs) {
  return new Intl.DateTimeFormat(language, { timeStyle: "short" }).format(unixMs);
}

// Writes a text into an element; a switch of the language writes it anew. No key: empties it. What
// stands there already is not said twice by a screen reader.
export function say(element, key, values = {}) {
  const given = JSON.stringify(values);
  if (element.dataset.text === (key ?? "") && element.dataset.values === given) return;
  element.dataset.text = key ?? "";
  element.dataset.values = given;
  element.textContent = key ? textOf(key, values) : "";
}

// The same for the name that screen readers say.
export function label(element, key, values = {}) {
  element.dataset.label = key;
  element.dataset.values = JSON.stringify(values);
  element.setAttribute("aria-label", textOf(key, values));
}

export function translate() {
  document.documentElement.lang = language;
  const values = (element) => JSON.parse(element.dataset.values ?? "{}");
  for (const element of document.querySelectorAll("[data-text]:not([data-text=''])")) {
    element.textContent = textOf(element.dataset.text, values(element));
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", textOf(element.dataset.label, values(element)));
  }
}
