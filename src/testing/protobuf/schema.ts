/** How messages of the Kubernetes API are described: one row a field, made by the functions below. */

/** How a field's JSON value is written in protobuf. */
type Kind =
  | 'text'
  | 'integer'
  | 'boolean'
  /** `metav1.Time`: RFC 3339 in JSON, a message of seconds and nanoseconds (always 0) here. */
  | 'time'
  /** `metav1.MicroTime`: the same with microseconds. */
  | 'microTime'
  /** `metav1.FieldsV1`: a JSON object, carried as its text. */
  | 'fields'
  /** `intstr.IntOrString`. */
  | 'intOrString'
  | 'message'
  /** Maps from text to text, and from text to `resource.Quantity`; written in the order of their keys. */
  | 'textMap'
  | 'quantityMap';

export interface Field {
  readonly number: number;
  /** Name in JSON. */
  readonly name: string;
  readonly kind: Kind;
  /** A list of such values, written one by one. */
  readonly repeated: boolean;
  /** Written even when JSON has no such field: Go's struct has a value there and no pointer. */
  readonly always: boolean;
  /** Fields of a `message`; empty for other kinds. */
  readonly message: Message;
}

/** The fields of a message in the order of their numbers, which is the order they are written in. */
export type Message = readonly Field[];

type Row = (number: number, name: string) => Field;

const row =
  (kind: Kind, flags: Partial<Pick<Field, 'repeated' | 'always' | 'message'>>): Row =>
  (number, name) => ({
    number,
    name,
    kind,
    repeated: false,
    always: false,
    message: [],
    ...flags,
  });

/** Values of Go (`string`, `int32`, `bool`, `Time`): always written. */
export const text = row('text', { always: true });
export const integer = row('integer', { always: true });
export const boolean = row('boolean', { always: true });
export const time = row('time', { always: true });
export const microTime = row('microTime', { always: true });
export const intOrString = row('intOrString', { always: true });
export const message = (fields: Message): Row => row('message', { message: fields, always: true });

/** Pointers of Go (`*string`): written when they are there. */
export const optionalText = row('text', {});
export const optionalInteger = row('integer', {});
export const optionalBoolean = row('boolean', {});
export const optionalTime = row('time', {});
export const optionalFields = row('fields', {});
export const optionalMessage = (fields: Message): Row => row('message', { message: fields });

/** Slices and maps of Go: one field an entry. */
export const texts = row('text', { repeated: true });
export const messages = (fields: Message): Row =>
  row('message', { message: fields, repeated: true });
export const textMap = row('textMap', {});
export const quantityMap = row('quantityMap', {});
