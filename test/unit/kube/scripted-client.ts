/** An API server that answers as a test says, request by request, without a network. */
import type { KubeError } from '../../../src/kube/errors.ts';
import type { ApiAnswer, ApiClient, ApiRequest } from '../../../src/kube/transport.ts';
import type { WireFormat } from '../../../src/kube/wire/wire.ts';

/** Takes requests and hands them to the test in order. */
export class ScriptedClient implements ApiClient {
  readonly server = 'https://api.test:6443';
  readonly #arrived: Exchange[] = [];
  readonly #waiting: ((exchange: Exchange) => void)[] = [];

  async request(request: ApiRequest): Promise<ApiAnswer> {
    const exchange = new Exchange(request);
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#arrived.push(exchange);
    else waiting(exchange);
    return exchange.answer;
  }

  /** Requests the test has not taken. */
  get pending(): number {
    return this.#arrived.length;
  }

  /** The next request. */
  async next(): Promise<Exchange> {
    const arrived = this.#arrived.shift();
    if (arrived !== undefined) return arrived;
    const { promise, resolve } = Promise.withResolvers<Exchange>();
    this.#waiting.push(resolve);
    return promise;
  }
}

/** One request and its answer. */
export class Exchange {
  readonly request: ApiRequest;
  readonly answer: Promise<ApiAnswer>;
  readonly #answer = Promise.withResolvers<ApiAnswer>();
  readonly #body = Promise.withResolvers<void>();
  readonly #unread: Buffer[] = [];
  #onChunk: ((chunk: Buffer) => void) | undefined;

  constructor(request: ApiRequest) {
    this.request = request;
    this.answer = this.#answer.promise;
    const abort = (): void => {
      this.#answer.reject(request.signal.reason);
      this.#body.reject(request.signal.reason);
    };
    request.signal.addEventListener('abort', abort);
    // Nobody may be reading when a test is over.
    this.#body.promise.catch(() => undefined);
    this.answer.catch(() => undefined);
  }

  get path(): string {
    return this.#url.pathname;
  }

  /** The query without the selectors of the resource. */
  get query(): Readonly<Record<string, string>> {
    const query = Object.fromEntries(this.#url.searchParams);
    delete query['labelSelector'];
    delete query['fieldSelector'];
    return query;
  }

  /** The selectors of the resource. */
  get selectors(): readonly (string | null)[] {
    const { searchParams } = this.#url;
    return [searchParams.get('labelSelector'), searchParams.get('fieldSelector')];
  }

  get #url(): URL {
    return new URL(this.request.path, 'https://api.test');
  }

  /** Grants the request; the body follows. */
  grant(format: WireFormat = 'json'): this {
    this.#answer.resolve({
      status: 200,
      format,
      read: async (onChunk) => {
        this.#onChunk = onChunk;
        for (const chunk of this.#unread.splice(0)) this.#deliver(chunk);
        return this.#body.promise;
      },
    });
    return this;
  }

  /** Sends a piece of the body. */
  send(...pieces: readonly (string | Buffer)[]): this {
    const chunk = Buffer.concat(
      pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece)),
    );
    if (this.#onChunk === undefined) this.#unread.push(chunk);
    else this.#deliver(chunk);
    return this;
  }

  /** Ends the body in an orderly way. */
  end(): void {
    this.#body.resolve();
  }

  /** Fails the request, or its body. */
  fail(error: KubeError): void {
    this.#answer.reject(error);
    this.#body.reject(error);
  }

  #deliver(chunk: Buffer): void {
    try {
      this.#onChunk?.(chunk);
    } catch (error) {
      this.#onChunk = () => undefined;
      this.#body.reject(error);
    }
  }
}
