/** YAML as the tools of Kubernetes read it. */
import type { DocumentOptions, ParseOptions, SchemaOptions } from 'yaml';

/** YAML 1.1 tags that have no counterpart in JSON. The Go tools leave such values as text. */
const DROPPED_TAGS = /^tag:yaml\.org,2002:(?:timestamp|binary|omap|pairs|set)$/;

/** YAML 1.1; keys that are there twice are for the caller to look for. */
export const GO_YAML: DocumentOptions & ParseOptions & SchemaOptions = {
  version: '1.1',
  prettyErrors: false,
  // The library compares each key with every other one of its map.
  uniqueKeys: false,
  // A number such as 22:22 is base 60 in YAML 1.1, but not in the Go tools.
  customTags: (tags) =>
    tags.filter(
      (tag) =>
        typeof tag === 'string' ||
        !(DROPPED_TAGS.test(tag.tag) || ('format' in tag && tag.format === 'TIME')),
    ),
};
