import { InvalidInput } from "../core/contract/errors.ts";

/** A request as it will be sent, before it says who sends it. */
export interface UnsignedRequest {
  readonly method: string;
  readonly url: string;
  readonly body?: string;
}

/** Headers that say who sends a request. */
export type Authorize = (request: UnsignedRequest) => Promise<Readonly<Record<string, string>>>;

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface AuthOptions {
  /** A bearer token, for an API that asks for tokens. */
  readonly token?: string | undefined;
  /** Sign for this region although the URL is not one of AWS: a domain of your own. */
  readonly region?: string | undefined;
}

/** Which region's API Gateway a URL leads to; `undefined`: to none that it shows. */
export function gatewayRegion(url: string): string | undefined {
  return /^[a-z0-9]+\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$/.exec(new URL(url).hostname)?.[1];
}

/**
 * How requests to an API say who sends them: by a token if there is one, by a signature of the caller's AWS
 * credentials if it is on AWS, else not at all.
 * @param credentials @default where the AWS SDK finds them: environment, profile, SSO, instance
 * @throws InvalidInput naming `token` when it can't be one
 */
export function authorization(
  url: string,
  { token, region }: AuthOptions,
  credentials: () => Promise<Credentials> = sdkCredentials,
): Authorize | undefined {
  if (token !== undefined) return bearer(token);
  const signFor = region ?? gatewayRegion(url);
  return signFor === undefined ? undefined : signature(signFor, credentials);
}

/** n.b. fetch takes a header that is none for a server that can't be reached. RFC 6750 says what a token is made of. */
function bearer(token: string): Authorize {
  if (!/^[\w.~+/-]+=*$/.test(token))
    throw new InvalidInput("token", "a bearer token (ROGER_API_TOKEN) is made of letters, digits and -._~+/, with = at its end");
  return async () => ({ authorization: `Bearer ${token}` });
}

/** AWS Signature Version 4 for `execute-api`. @throws InvalidInput when there are no credentials */
function signature(region: string, credentials: () => Promise<Credentials>): Authorize {
  return async ({ method, url, body }) => {
    // Imported here: a call to an API on this machine loads neither.
    const { AwsV4Signer } = await import("aws4fetch");
    const { accessKeyId, secretAccessKey, sessionToken } = await resolved(credentials);
    const signer = new AwsV4Signer({
      method,
      url,
      accessKeyId,
      secretAccessKey,
      service: "execute-api",
      region,
      ...(body === undefined ? {} : { body }),
      ...(sessionToken === undefined ? {} : { sessionToken }),
    });
    const { headers } = await signer.sign();
    return Object.fromEntries(headers);
  };
}

async function resolved(credentials: () => Promise<Credentials>): Promise<Credentials> {
  try {
    return await credentials();
  } catch (cause) {
    throw new InvalidInput("credentials", `the API asks for AWS credentials: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

let found: (() => Promise<Credentials>) | undefined;

/** n.b. the provider is kept: it remembers what it has found, and renews it before it ends. */
async function sdkCredentials(): Promise<Credentials> {
  const { defaultProvider } = await import("@aws-sdk/credential-provider-node");
  found ??= defaultProvider() as () => Promise<Credentials>;
  return found();
}
