/**
 * Label selectors and field selectors, as `k8s.io/apimachinery/pkg/labels` and `/fields` understand them. `<` and `>` of label
 * selectors are not supported: no Service proxy sends them.
 */
import { type JsonObject, objectIn } from './json.ts';
import { type Resource, selectableText } from './resources.ts';
import { badRequest } from './status.ts';

/** Tells whether an object is meant. */
export type Selector = (object: JsonObject) => boolean;

/** Letters, digits, `-`, `_` and `.` between letters or digits; keys may have a DNS name in front. */
const KEY =
  /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const VALUE = /^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/;

const TOKEN = /\s*(?:(?<symbol>==|!=|[=!(),<>])|(?<word>[^\s=!(),<>]+))/y;

/** Splits a label selector; the end is the token `''`. */
function tokens(text: string): string[] {
  const found: string[] = [];
  TOKEN.lastIndex = 0;
  for (;;) {
    const match = TOKEN.exec(text);
    if (match?.groups === undefined) return [...found, ''];
    found.push(match.groups['symbol'] ?? match.groups['word'] ?? '');
  }
}

const isWord = (token: string): boolean => token !== '' && !/^[=!(),<>]/.test(token);

/** Reads requirements one by one off the front of the tokens. Throws a 400 with the texts of labels.Parse. */
class LabelParser {
  readonly #tokens: string[];

  constructor(text: string) {
    this.#tokens = tokens(text);
  }

  parse(): Selector[] {
    const requirements: Selector[] = [];
    while (this.#peek() !== '') {
      if (!isWord(this.#peek()) && this.#peek() !== '!') {
        throw badRequest(`found '${this.#peek()}', expected: !, identifier, or 'end of string'`);
      }
      requirements.push(this.#requirement());
      const next = this.#next();
      if (next === '') break;
      if (next !== ',') throw badRequest(`found '${next}', expected: ',' or 'end of string'`);
      if (!isWord(this.#peek()) && this.#peek() !== '!')
        throw badRequest(`found '${this.#peek()}', expected: identifier after ','`);
    }
    return requirements;
  }

  #peek(): string {
    return this.#tokens[0] ?? '';
  }

  #next(): string {
    return this.#tokens.shift() ?? '';
  }

  #requirement(): Selector {
    const absent = this.#peek() === '!';
    if (absent) this.#next();
    const key = this.#next();
    if (!isWord(key)) throw this.#unparsable(`found '${key}', expected: identifier`);
    if (!KEY.test(key)) throw this.#unparsable(`<nil>: Invalid value: "${key}": not a label key`);
    const label = (object: JsonObject): string | undefined => {
      const value = objectIn(objectIn(object, 'metadata'), 'labels')[key];
      return typeof value === 'string' ? value : undefined;
    };
    if (absent) return (object) => label(object) === undefined;
    if (this.#peek() === '' || this.#peek() === ',') return (object) => label(object) !== undefined;
    const operator = this.#next();
    const values = new Set(this.#values(operator));
    for (const value of values) {
      if (!VALUE.test(value))
        throw this.#unparsable(`values[0][${key}]: Invalid value: "${value}"`);
    }
    if (operator === '!=' || operator === 'notin') {
      return (object) => {
        const value = label(object);
        return value === undefined || !values.has(value);
      };
    }
    return (object) => {
      const value = label(object);
      return value !== undefined && values.has(value);
    };
  }

  #values(operator: string): string[] {
    switch (operator) {
      case '=':
      case '==':
      case '!=':
        return [isWord(this.#peek()) ? this.#next() : ''];
      case 'in':
      case 'notin':
        return this.#list();
      default:
        throw this.#unparsable(`found '${operator}', expected: in, notin, =, ==, !=, gt, lt`);
    }
  }

  /** `(a,b)`; a value may be empty. */
  #list(): string[] {
    const open = this.#next();
    if (open !== '(') throw this.#unparsable(`found '${open}' expected: '('`);
    const values: string[] = [];
    for (;;) {
      values.push(isWord(this.#peek()) ? this.#next() : '');
      const next = this.#next();
      if (next === ')') return values;
      if (next !== ',') throw this.#unparsable(`found '${next}', expected: ',' or ')'`);
    }
  }

  #unparsable(why: string): Error {
    return badRequest(`unable to parse requirement: ${why}`);
  }
}

/** Reads a `labelSelector` parameter. Throws a {@link badRequest}. */
export function parseLabelSelector(text: string): Selector[] {
  return new LabelParser(text).parse();
}

/** Reads a `fieldSelector` parameter for a resource. Throws a {@link badRequest}. */
export function parseFieldSelector(text: string, resource: Resource): Selector[] {
  // A comma or an equals sign behind a backslash belongs to the value.
  const terms = (text.match(/(?:\\.|[^,\\])+/gs) ?? []).map((term): Selector => {
    const match = /^(?<field>.*?)(?<operator>!=|==|=)(?<value>.*)$/s.exec(term);
    if (match?.groups === undefined)
      throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    const { field = '', operator, value: escaped = '' } = match.groups;
    if (/(?<!\\)=/.test(escaped))
      throw badRequest('invalid field selector: unescaped character in value: 61');
    if (!resource.selectable.includes(field)) throw badRequest(resource.unknownField(field));
    const value = escaped.replaceAll(/\\([\\,=])/g, '$1');
    const wanted = operator !== '!=';
    return (object) => (selectableText(object, field) === value) === wanted;
  });
  return terms;
}
