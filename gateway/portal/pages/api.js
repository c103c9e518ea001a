// The gateway's calls.

const LAST_ANSWER_MS = 15_000;
const PAUSES_MS = [500, 1500];

// Why a call did not succeed: a code of the gateway ("sign-in-first"), and a text for people.
export class Problem extends Error {
  constructor(code, message = "", retryAfterS = 0) {
    super(message);
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// 128 random bits.
function newRequestId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// A mutating call. One action has one request id, however often it must be sent.
export function act(name, fields = {}) {
  return repeat(PAUSES_MS, `/api/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Werkplek": "1" },
    body: JSON.stringify({ request_id: newRequestId(), ...fields }),
  });
}

// The pools of this person. `patient`: try again when no answer comes.
export async function listPools(patient = true) {
  return (await repeat(patient ? PAUSES_MS : [], "/api/pools", {})).pools;
}

async function repeat(pausesMs, path, options) {
  for (const ms of pausesMs) {
    try {
      return await once(path, options);
    } catch (problem) {
      if (problem.code !== "unavailable") throw problem;
    }
    await pause(ms);
  }
  return once(path, options);
}

async function once(path, options) {
  let response, answer;
  try {
    response = await fetch(path, { ...options, signal: AbortSignal.timeout(LAST_ANSWER_MS) });
    answer = await response.json();
  } catch {
    // No answer, or half of one.
    throw new Problem("unavailable");
  }
  if (response.ok) return answer;
  const retryAfterS = Number(response.headers.get("Retry-After")) || 1;
  throw new Problem(answer.error, answer.message, retryAfterS);
}
