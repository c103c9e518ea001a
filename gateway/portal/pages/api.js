// The gateway's calls.

const LAST_ANSWER_MS = 15_000;
// Together longer than a change of the leader; none is begun after so long.
const PAUSES_MS = [500, 1000, 2000, 3000, 3500];
const LAST_REPEAT_MS = 30_000;
const BUSY = ["too-many", "network-busy"];

// Why a call did not succeed: a code of the gateway ("sign-in-first"), and a text for people.
export class Problem extends Error {
  constructor(code, message = "", retryAfterS = 0) {
    super(message);
    this.code = code;
    this.retryAfterS = retryAfterS;
  }

  // It passes by itself: nothing is wrong with what was asked.
  get isBusy() {
    return BUSY.includes(this.code);
  }
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// 128 random bits.
function newRequestId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// A mutating call. One action has one request id, however often it must be sent; `onRepeat` hears
// each time that no answer came.
export function act(name, fields = {}, onRepeat = () => {}) {
  return repeat(PAUSES_MS, `/api/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Werkplek": "1" },
    body: JSON.stringify({ request_id: newRequestId(), ...fields }),
  }, onRepeat);
}

// The pools of this person. `patient`: try again when no answer comes.
export async function listPools(patient = true) {
  return (await repeat(patient ? PAUSES_MS : [], "/api/pools", {})).pools;
}

async function repeat(pausesMs, path, options, onRepeat = () => {}) {
  const began = performance.now();
  for (const ms of pausesMs) {
    try {
      return await once(path, options);
    } catch (problem) {
      const late = performance.now() - began > LAST_REPEAT_MS;
      if (problem.code !== "unavailable" || late) throw problem;
    }
    onRepeat();
    await pause(ms);
  }
  return once(path, options);
}

async function once(path, options) {
  let response, answer;
  // AbortSignal.timeout is younger than some tablets.
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), LAST_ANSWER_MS);
  try {
    response = await fetch(path, { ...options, signal: giveUp.signal });
    answer = await response.json();
  } catch {
    // No answer, or half of one.
    throw new Problem("unavailable");
  } finally {
    clearTimeout(timer);
  }
  if (response.ok) return answer;
  const retryAfterS = Number(response.headers.get("Retry-After")) || 1;
  throw new Problem(answer.error, answer.message, retryAfterS);
}
