/** Reads the `Status` object in which an API server says why it refuses something. */
import { isFields } from '../../core/decode/fields.ts';
import { STATUS } from './messages.ts';
import { readObject } from './protobuf-body.ts';
import { textOf } from './reader.ts';
import { StringPool } from './string-pool.ts';
import type { WireFormat } from './wire.ts';

/** meta/v1 Status, what matters of it. */
export interface Status {
  /** HTTP code; 0 when missing. */
  readonly code: number;
  /** Such as `Expired`; `''` when missing. */
  readonly reason: string;
  readonly message: string;
  /** Reasons in `details.causes`. */
  readonly causes: readonly string[];
  readonly retryAfterSeconds: number | undefined;
}

/** Reads the body of a refusal; `undefined` when it is no Status. */
export function parseStatus(format: WireFormat, body: Buffer): Status | undefined {
  try {
    if (format === 'protobuf') {
      const { kind, value } = readObject(body, STATUS, new StringPool());
      return kind === 'Status' ? statusOf(value) : undefined;
    }
    const value: unknown = JSON.parse(body.toString('utf8'));
    return isFields(value) && value['kind'] === 'Status' ? statusOf(value) : undefined;
  } catch {
    return undefined;
  }
}

/** The Status in a value of that kind. */
export function statusOf(value: unknown): Status {
  const status = isFields(value) ? value : {};
  const details = isFields(status['details']) ? status['details'] : {};
  const causes: readonly unknown[] = Array.isArray(details['causes']) ? details['causes'] : [];
  const after = details['retryAfterSeconds'];
  return {
    code: typeof status['code'] === 'number' ? status['code'] : 0,
    reason: textOf(status['reason']),
    message: textOf(status['message']),
    causes: causes.map((cause) => (isFields(cause) ? textOf(cause['reason']) : '')),
    retryAfterSeconds: typeof after === 'number' && after > 0 ? after : undefined,
  };
}
