// Requests to the server, with the token that the first address's code was worth.

const KEY = "token";
let token = localStorage.getItem(KEY);
let lane = null; // Of which reader and project this page is.

// From now on the server refuses this page's requests if it serves another reader.
export function belongTo(value) {
  lane = value;
}

// Exchanges the code behind "#", once, and takes it out of the address.
export async function signIn() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code) {
    history.replaceState(null, "", "/");
    const answer = await fetch("/api/session", { method: "POST", body: code });
    if (answer.ok) {
      token = (await answer.json()).token;
      localStorage.setItem(KEY, token);
    }
  }
  return token !== null;
}

export class RequestError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export async function ask(path, options = {}) {
  const answer = await fetch(path, {
    ...options,
    headers: { Authorization: `Bearer ${token}`, ...(lane && { "X-Lane": lane }), ...options.headers },
  });
  if (!answer.ok) {
    let text = `The server answers ${answer.status}.`;
    try {
      text = (await answer.json()).error;
    } catch {
      // It is no answer of ours, and the number has to do.
    }
    throw new RequestError(answer.status, text);
  }
  return answer;
}

export async function get(path) {
  return (await ask(path)).json();
}

export async function post(path, values, options = {}) {
  const answer = await ask(path, {
    method: "POST",
    body: JSON.stringify(values),
    headers: { "Content-Type": "application/json" },
    ...options,
  });
  return answer.json();
}

// crypto.randomUUID is there: 127.0.0.1 counts as a secure context.
export const uuid = () => crypto.randomUUID();
