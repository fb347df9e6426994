/** Reads the YAML or JSON of a configuration file, as leniently as kube-proxy does in the end. */
import { type Document, isPair, isScalar, parseAllDocuments, visit } from 'yaml';
import { GO_YAML } from '../../manifests/go-yaml.ts';

/** One document that is not empty. */
export interface ConfigDocument {
  readonly value: unknown;
  /** Paths of the fields that are there more than once; the last one counts. */
  readonly duplicates: readonly string[];
}

/** The documents of a file, or why it cannot be read. */
export type ConfigDocuments =
  | { readonly ok: true; readonly documents: readonly ConfigDocument[] }
  | { readonly ok: false; readonly reason: string };

/** Reads all documents of a text in YAML 1.1, of which JSON is a part. Empty ones are left out. */
export function readDocuments(text: string): ConfigDocuments {
  try {
    const documents: ConfigDocument[] = [];
    for (const document of parse(text)) {
      const [failure] = document.errors;
      if (failure !== undefined) {
        const line = text.slice(0, failure.pos[0]).split('\n').length;
        return { ok: false, reason: `line ${line}: ${failure.message}` };
      }
      const value: unknown = document.toJS();
      if (value !== null) documents.push({ value, duplicates: findDuplicates(document) });
    }
    return { ok: true, documents };
  } catch (error) {
    // An alias of nothing or of too much, or what is nested too deeply for the stack.
    if (!(error instanceof ReferenceError || error instanceof RangeError)) throw error;
    return { ok: false, reason: error.message };
  }
}

function parse(text: string): readonly Document.Parsed[] {
  const documents = parseAllDocuments(text, GO_YAML);
  return 'empty' in documents ? [] : documents;
}

function findDuplicates(document: Document.Parsed): readonly string[] {
  const duplicates: string[] = [];
  visit(document, {
    Map: (_key, map, ancestors) => {
      const around = ancestors.filter(isPair).map(({ key }) => nameOf(key));
      const seen = new Set<string>();
      for (const { key } of map.items) {
        const name = nameOf(key);
        if (seen.has(name)) duplicates.push([...around, name].join('.'));
        seen.add(name);
      }
    },
  });
  return duplicates;
}

function nameOf(key: unknown): string {
  return isScalar(key) ? String(key.value) : '';
}
