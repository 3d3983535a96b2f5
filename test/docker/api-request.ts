import { request } from "node:http";
import { text } from "node:stream/consumers";

export interface Answer {
  readonly status: number | undefined;
  readonly type: string | undefined;
  readonly body: unknown;
}

/** Asks a deployed API: a path as the routes have it, whatever stands in front of it there. */
export type Ask = (method: string, path: string, body?: object) => Promise<Answer>;

export interface ApiRequest {
  /** The emulator's. */
  readonly endpoint: string;
  /** Of the API: that is how emulators, like AWS, tell APIs apart. n.b. it need not have an address. */
  readonly host: string;
  readonly method: string;
  readonly path: string;
  readonly body: object | undefined;
}

/**
 * A request by HTTP to an emulator, under the host name of one of its APIs; `fetch` would not send that.
 * @throws Error when what comes back is no JSON
 */
export async function requestApi({ endpoint, host, method, path, body }: ApiRequest): Promise<Answer> {
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    host,
    ...(sent === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(sent) }),
  };
  const { hostname, port } = new URL(endpoint);
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const asked = request({ hostname, port, method, path, headers }, (response) => {
    text(response)
      .then((answer) =>
        resolve({ status: response.statusCode, type: response.headers["content-type"], body: parsed(answer, `${method} ${host}${path}`) }),
      )
      .catch(reject);
  });
  asked.on("error", reject);
  asked.end(sent);
  return await promise;
}

function parsed(answer: string, asked: string): unknown {
  try {
    return JSON.parse(answer);
  } catch (cause) {
    throw new Error(`${asked} was not answered in JSON, but: ${answer.slice(0, 200)}`, { cause });
  }
}
