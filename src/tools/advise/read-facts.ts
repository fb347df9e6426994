/** Facts from a YAML file. */
import { parse } from 'yaml';
import { isFields } from '../../core/decode/fields.ts';
import { ToolError } from '../errors.ts';
import {
  EXPECTED,
  FACT_FIELDS,
  FACT_NAMES,
  type GivenFacts,
  mergeFacts,
  parseFact,
} from './facts.ts';

/**
 * Reads `name: value` lines of YAML. `path` is for messages.
 *
 * Throws a {@link ToolError} `SY_FACTS_INVALID`.
 */
export function readFacts(text: string, path: string): GivenFacts {
  const facts = Object.entries(fieldsIn(text, path)).map(([name, value]) => {
    const known = FACT_NAMES.find((candidate) => candidate === name);
    if (known === undefined) {
      throw invalid(path, `there is no fact ${name}, only ${FACT_NAMES.join(', ')}`);
    }
    const fact = parseFact(known, String(value));
    if (fact === undefined) {
      throw invalid(path, `${name} must be ${EXPECTED[FACT_FIELDS[known].kind]}`);
    }
    return fact;
  });
  return mergeFacts(facts);
}

function fieldsIn(text: string, path: string): Readonly<Record<string, unknown>> {
  let content: unknown;
  try {
    // Every value is text: 6.10 is a version, and no number.
    content = parse(text, { schema: 'failsafe' });
  } catch (error) {
    throw invalid(path, error instanceof Error ? error.message : String(error));
  }
  if (isFields(content)) return content;
  throw invalid(path, 'it must have lines like `services: 1000`');
}

function invalid(path: string, reason: string): ToolError {
  return new ToolError('SY_FACTS_INVALID', `Cannot use the facts in ${path}: ${reason}.`);
}
