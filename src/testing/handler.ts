/** From a request to its answer. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Answer, document, negotiated, plainText, refusal, send } from './answer.ts';
import { type Credentials, refuse } from './authentication.ts';
import type { Clock } from '../core/clock.ts';
import { DOCUMENTS, HEALTH_PATHS } from './discovery.ts';
import { type Media, listBody, objectBody, statusBody } from './encodings.ts';
import { StatusError } from './errors.ts';
import type { Fault, FaultPlan } from './faults.ts';
import { FrameCache } from './frame-cache.ts';
import { objectIn, textIn } from './json.ts';
import { list } from './list.ts';
import { CONTENT_TYPES, MEDIA_TYPES, negotiate, wantsPretty } from './negotiation.ts';
import { parseListOptions } from './options.ts';
import type { RequestLog } from './request-log.ts';
import { type RequestRecord, type Target, type Verb, parseTarget } from './request.ts';
import * as status from './status.ts';
import type { Store } from './store.ts';
import { type Version, keyOf } from './version.ts';
import { Watch } from './watch.ts';
import { type Body, create, patch, remove, update } from './write.ts';

/** What answers are made with. */
export interface HandlerSetting {
  readonly store: Store;
  readonly clock: Clock;
  readonly faults: FaultPlan;
  readonly log: RequestLog;
  readonly credentials: () => Credentials;
  readonly slowReaderMs: number;
}

/** The largest body of a request, in bytes. */
const MAX_BODY = 3 * 1024 * 1024;

/** What request targets, which are paths, are relative to. */
const BASE = 'http://server/';

/** One request on its way to its answer. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly record: RequestRecord;
  readonly media: Media | undefined;
  readonly pretty: boolean;
}

export class Handler {
  readonly #setting: HandlerSetting;
  readonly #watches = new Set<Watch>();
  readonly #frames = new FrameCache();
  /** Names of the flow schema and priority level that a real server's every answer carries. */
  readonly #flow = { schema: randomUUID(), level: randomUUID() };

  constructor(setting: HandlerSetting) {
    this.#setting = setting;
  }

  /** The open watches, the oldest first. */
  get watches(): readonly Watch[] {
    return [...this.#watches];
  }

  /** Answers a request. Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { log, faults, clock } = this.#setting;
    const { pathname, searchParams } = URL.parse(request.url ?? '/', BASE) ?? new URL(BASE);
    const method = request.method ?? 'GET';
    const accept = request.headers.accept ?? '';
    const userAgent = request.headers['user-agent'] ?? '';
    const record: RequestRecord = {
      at: clock.now(),
      method,
      path: pathname,
      query: searchParams,
      target: parseTarget(method, pathname, searchParams),
      accept,
      userAgent,
      status: undefined,
    };
    log.add(record);
    const media = negotiate(accept);
    const pretty = wantsPretty(searchParams, userAgent);
    const exchange = { request, response, record, media, pretty };
    await this.#answer(exchange, faults.take(record));
    log.settle(record);
  }

  async #answer(exchange: Exchange, fault: Fault | undefined): Promise<void> {
    const { request, response, record } = exchange;
    if (fault?.kind === 'hang') return;
    if (fault?.kind === 'reset') {
      response.destroy();
      return;
    }
    if (fault?.kind === 'delay') {
      await new Promise<void>((resolve) => {
        this.#setting.clock.after(fault.ms, resolve);
      });
    }
    response.setHeader('Audit-Id', randomUUID());
    response.setHeader('Cache-Control', 'no-cache, private');
    const answer = await this.#answerOrRefusal(exchange, fault);
    if (answer === undefined) return;
    record.status = answer.status;
    await send(request, response, answer, fault?.kind === 'truncate' ? fault.bytes : undefined);
  }

  /** `undefined` when the answer is a watch, which has begun. */
  async #answerOrRefusal(
    exchange: Exchange,
    fault: Fault | undefined,
  ): Promise<Answer | undefined> {
    const { request, response, record, media, pretty } = exchange;
    try {
      if (fault?.kind === 'answer') {
        return { ...fault, body: Buffer.from(fault.body) };
      }
      const refused = refuse(this.#setting.credentials(), request, record);
      if (refused !== undefined) throw refused;
      response.setHeader('X-Kubernetes-Pf-Flowschema-Uid', this.#flow.schema);
      response.setHeader('X-Kubernetes-Pf-Prioritylevel-Uid', this.#flow.level);
      if (fault?.kind === 'refuse') throw fault.error;
      const { target } = record;
      if (target === undefined) return fixed(record);
      if (media === undefined) {
        const stream = target.verb === 'watch' ? ';stream=watch' : '';
        throw status.notAcceptable(MEDIA_TYPES.map((type) => type + stream));
      }
      const empty = fault?.kind === 'emptyList';
      if (target.verb === 'watch') {
        await this.#watch(exchange, target, media, empty);
        return undefined;
      }
      return await this.#act(exchange, target.verb, target, media, empty);
    } catch (error) {
      const known = error instanceof StatusError ? error : status.internalError(String(error));
      return refusal(known, media ?? 'json', pretty);
    }
  }

  async #act(
    { request, record, pretty }: Exchange,
    verb: Exclude<Verb, 'watch'>,
    target: Target,
    media: Media,
    empty: boolean,
  ): Promise<Answer> {
    const { store } = this.#setting;
    const { resource, namespace, name } = target;
    const objectAnswer = (code: number, version: Version): Answer =>
      negotiated(code, media, objectBody(media, resource, version), pretty);
    switch (verb) {
      case 'list': {
        const options = parseListOptions(target, record.query);
        const { metadata, versions } = await list(store, resource, namespace, options);
        const body = empty
          ? listBody(media, resource, { resourceVersion: String(store.revision) }, [])
          : listBody(media, resource, metadata, versions);
        return negotiated(200, media, body, pretty);
      }
      case 'get': {
        const version = store.collection(resource).get(keyOf(namespace, name));
        if (version === undefined) throw status.notFound(resource, name);
        return objectAnswer(200, version);
      }
      case 'create':
        return objectAnswer(201, create(store, target, await readBody(request)));
      case 'update':
        return objectAnswer(200, update(store, target, await readBody(request)));
      case 'patch':
        return objectAnswer(200, patch(store, target, await readBody(request)));
      case 'delete':
        break;
    }
    const gone = remove(store, target);
    if (resource.returnsDeleted) return objectAnswer(200, gone);
    const uid = textIn(objectIn(gone.object, 'metadata'), 'uid');
    return negotiated(200, media, statusBody(media, status.deleted(resource, name, uid)), pretty);
  }

  async #watch(
    exchange: Exchange,
    target: Target,
    media: Media,
    beginsEmpty: boolean,
  ): Promise<void> {
    const { response, record } = exchange;
    const { store, clock, slowReaderMs } = this.#setting;
    const watch = new Watch({
      store,
      clock,
      slowReaderMs,
      media,
      response,
      collection: store.collection(target.resource),
      frames: this.#frames,
      request: record,
      options: parseListOptions(target, record.query),
      beginsEmpty,
      onEnd: (ended) => this.#watches.delete(ended),
    });
    record.status = 200;
    const type = CONTENT_TYPES[media];
    response.writeHead(200, { 'Content-Type': media === 'json' ? type : `${type};stream=watch` });
    response.flushHeaders();
    this.#watches.add(watch);
    await watch.start();
  }
}

/** Answers that do not depend on objects. Throws a 404 or 405 Status. */
function fixed({ method, path, query }: RequestRecord): Answer {
  if (method === 'GET' && HEALTH_PATHS.has(path)) return plainText('ok');
  const content = DOCUMENTS.get(path);
  if (method === 'GET' && content !== undefined) return document(content);
  const known = content !== undefined || parseTarget('GET', path, query) !== undefined;
  throw known ? status.methodNotAllowed() : status.noSuchPath();
}

async function readBody(request: IncomingMessage): Promise<Body> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request) {
    if (!(piece instanceof Buffer)) continue;
    size += piece.length;
    if (size > MAX_BODY) throw status.bodyTooLarge(MAX_BODY);
    pieces.push(piece);
  }
  const [type = ''] = (request.headers['content-type'] ?? '').split(';');
  return { type: type.trim().toLowerCase(), bytes: Buffer.concat(pieces) };
}
