/**
 * Credentials from a command (`exec` of a kubeconfig, client.authentication.k8s.io). The command runs
 * when credentials are needed and there are none, or theirs is over; never more than once at a time.
 */
import { execFile } from 'node:child_process';
import * as z from 'zod/mini';
import type { Credentials, Environment, Identity } from './access.ts';
import type { WallTime } from '../core/clock.ts';
import { bearer } from './credentials.ts';
import { KubeError } from './errors.ts';

/** The cluster, as `provideClusterInfo` tells the command about it. */
export type ExecClusterInfo = Readonly<Record<string, unknown>>;

/** A command, as a kubeconfig names it, and its surroundings. */
export interface ExecPluginOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Variables besides those of this process. */
  readonly variables: Environment;
  /** `client.authentication.k8s.io/v1` or `…/v1beta1`. */
  readonly apiVersion: string;
  /** What to tell a user who does not have the command. */
  readonly installHint: string | undefined;
  readonly cluster: ExecClusterInfo | undefined;
  /** Environment of this process. */
  readonly env: Environment;
  readonly wallTime: WallTime;
}

const text = z.string('must be text');

const CREDENTIAL = z.object(
  {
    apiVersion: text,
    kind: z.literal('ExecCredential', 'must be ExecCredential'),
    status: z.object(
      {
        expirationTimestamp: z.nullish(text),
        token: z.nullish(text),
        clientCertificateData: z.nullish(text),
        clientKeyData: z.nullish(text),
      },
      'must be an object',
    ),
  },
  'must be an object',
);

/** A command that takes longer than this is stopped, in milliseconds. */
const TIMEOUT_MS = 60_000;
const MAX_OUTPUT = 1024 * 1024;
/** Longest piece of the command's own words in a message. */
const MAX_QUOTE = 300;

/** Runs the command of a kubeconfig. */
export class ExecPlugin implements Credentials {
  readonly #options: ExecPluginOptions;
  #running: Promise<Identity> | undefined;
  #identity: Identity | undefined;
  /** Wall time at which the identity is over; `undefined`: when the server says so. */
  #expiresAt: number | undefined;

  constructor(options: ExecPluginOptions) {
    this.#options = options;
  }

  async identity(): Promise<Identity> {
    const now = this.#options.wallTime();
    if (this.#identity && (this.#expiresAt === undefined || now < this.#expiresAt)) {
      return this.#identity;
    }
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  expire(): void {
    this.#identity = undefined;
  }

  async #run(): Promise<Identity> {
    const output = await this.#spawn();
    const result = CREDENTIAL.safeParse(parse(output));
    if (!result.success) {
      const [issue] = result.error.issues;
      const place = issue?.path.join('.') || 'the output';
      throw this.#failed(`it wrote no ExecCredential (${place} ${issue?.message ?? 'is wrong'})`);
    }
    const { apiVersion, status } = result.data;
    if (apiVersion !== this.#options.apiVersion) {
      throw this.#failed(`it answered in ${apiVersion}, not in ${this.#options.apiVersion}`);
    }
    const cert = status.clientCertificateData ?? undefined;
    const key = status.clientKeyData ?? undefined;
    if ((cert === undefined) !== (key === undefined)) {
      throw this.#failed('it wrote only one of clientCertificateData and clientKeyData');
    }
    if (status.token === undefined && cert === undefined) {
      throw this.#failed('it wrote neither a token nor a certificate');
    }
    const expiresAt = Date.parse(status.expirationTimestamp ?? '');
    this.#expiresAt = Number.isNaN(expiresAt) ? undefined : expiresAt;
    const authorization = status.token ? bearer(status.token) : undefined;
    this.#identity = { authorization, cert, key };
    return this.#identity;
  }

  async #spawn(): Promise<string> {
    const { command, args, variables, env } = this.#options;
    const environment = { ...env, ...variables, KUBERNETES_EXEC_INFO: this.#info() };
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const child = execFile(
      command,
      [...args],
      { env: environment, timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT, encoding: 'utf8' },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(this.#failed(this.#reason(error, stderr), error));
      },
    );
    child.stdin?.end();
    return promise;
  }

  /** What the command learns about the request for credentials. */
  #info(): string {
    const { apiVersion, cluster } = this.#options;
    const spec = { interactive: false, ...(cluster && { cluster }) };
    return JSON.stringify({ apiVersion, kind: 'ExecCredential', spec });
  }

  #reason(
    error: Error & { readonly code?: unknown; readonly killed?: unknown },
    stderr: string,
  ): string {
    const { installHint } = this.#options;
    if (error.code === 'ENOENT') return `there is no such command. ${installHint ?? ''}`.trim();
    if (error.killed === true) return `it was stopped after ${TIMEOUT_MS / 1000} s`;
    const words = stderr.trim().slice(0, MAX_QUOTE);
    return `it ended with ${String(error.code)}${words === '' ? '' : ` and wrote: ${words}`}`;
  }

  #failed(reason: string, cause?: unknown): KubeError {
    const what = `Cannot get credentials from the command ${this.#options.command}`;
    const advice = 'Run it by hand, or correct users[].user.exec of the kubeconfig.';
    return new KubeError('SY_KUBE_CREDENTIALS', `${what}: ${reason}. ${advice}`, { cause });
  }
}

function parse(output: string): unknown {
  try {
    return JSON.parse(output);
  } catch {
    return undefined;
  }
}
