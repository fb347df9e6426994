/** JSON values, and reading fields of objects whose shape is not known. */

export type Json = string | number | boolean | null | JsonObject | readonly Json[];

export interface JsonObject {
  readonly [field: string]: Json | undefined;
}

/** True for a JSON object; false for a list, `null` and what is no object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isList(value: unknown): value is readonly Json[] {
  return Array.isArray(value);
}

/** Parses one JSON object. Returns `undefined` for all other text. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The object in a field; an empty one when the field holds none. */
export function objectIn(object: JsonObject, field: string): JsonObject {
  const value = object[field];
  return isObject(value) ? value : {};
}

/** The text in a field; `''` when the field holds none. */
export function textIn(object: JsonObject, field: string): string {
  const value = object[field];
  return typeof value === 'string' ? value : '';
}

/** The list in a field; an empty one when the field holds none. */
export function listIn(object: JsonObject, field: string): readonly Json[] {
  const value = object[field];
  return isList(value) ? value : [];
}

/** The object without its fields that are `undefined`, `''`, `{}` or `[]` (Go: `omitempty`). */
export function withoutEmpty(object: JsonObject): JsonObject {
  const kept: Record<string, Json> = {};
  for (const [field, value] of Object.entries(object)) {
    if (value === undefined || value === '') continue;
    if (typeof value === 'object' && value !== null && Object.keys(value).length === 0) continue;
    kept[field] = value;
  }
  return kept;
}
