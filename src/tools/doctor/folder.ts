/** Captures as folders of files: written by `--capture`, or put together by hand. */
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { stringify } from 'yaml';
import type { Fields } from '../../core/decode/fields.ts';
import { type ConfigDocuments, readDocuments } from '../../agent/config/read-documents.ts';
import { ToolError } from '../errors.ts';
import { readCniFile } from './capture-machine.ts';
import { type Capture, TEXTS, TEXT_NAMES, type TextName, isTextName } from './capture.ts';
import { objectsOf, redactObject } from './facts/cluster.ts';
import { isCniFile } from './facts/cni.ts';
import { type Fact, known, unknown } from './facts/facts.ts';
import { isProxyDocument, redactProxyDocument } from './facts/proxy.ts';

/** Says why a text is not there, one line each. */
const MISSING = 'missing';
const OBJECTS_FILE = 'objects.json';
const PROXY_FILE = 'kube-proxy-config.yaml';

/**
 * Writes a capture. The folder is made if need be; it must be empty, so that nothing else gets into the capture.
 * @throws ToolError `SY_CAPTURE_UNUSABLE`.
 */
export function writeCapture(folder: string, capture: Capture): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (readdirSync(folder).length > 0)
      throw new ToolError(
        'SY_CAPTURE_UNUSABLE',
        `${folder} is not empty: name a folder that is, or that does not exist.`,
      );
    const missing: string[] = [];
    for (const name of TEXT_NAMES) {
      const text = capture.texts.get(name);
      if (text === undefined) continue;
      if (text.known) write(folder, name, text.value);
      else missing.push(`${name}: ${text.why}`);
    }
    const { cni, proxyDocuments, objects } = capture;
    if (cni.known) {
      for (const [name, content] of cni.value) write(folder, name, JSON.stringify(content));
    }
    if (!proxyDocuments.known) missing.push(`${PROXY_FILE}: ${proxyDocuments.why}`);
    else {
      write(
        folder,
        PROXY_FILE,
        proxyDocuments.value.map((document) => stringify(document)).join('---\n'),
      );
    }
    if (!objects.known) missing.push(`${OBJECTS_FILE}: ${objects.why}`);
    else {
      const list = { apiVersion: 'v1', kind: 'List', items: objects.value };
      write(folder, OBJECTS_FILE, JSON.stringify(list, undefined, 1));
    }
    write(folder, MISSING, missing.join('\n'));
  } catch (error) {
    throw unusable(folder, 'written', error);
  }
}

function write(folder: string, name: string, text: string): void {
  writeFileSync(join(folder, name), text.endsWith('\n') ? text : `${text}\n`, { mode: 0o600 });
}

/**
 * Reads a folder. Files have the names of {@link TEXTS}, with or without an ending such as `.txt`; every YAML or JSON
 * file can hold Kubernetes objects or the proxy's configuration; `*.conf` and `*.conflist` are those of network plugins.
 * @throws ToolError `SY_CAPTURE_UNUSABLE`.
 */
export function readCapture(folder: string): Capture {
  try {
    const names = readdirSync(folder).toSorted();
    const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
    const missing = new Map(
      names.includes(MISSING)
        ? [...read(MISSING).matchAll(/^(\S+): (.*)$/gm)].map(([, name = '', why = '']) => [
            name,
            why,
          ])
        : [],
    );
    const files = new Map(names.map((name) => [name.replace(/\.(?:txt|log|out|json)$/, ''), name]));
    const textOf = (name: TextName): Fact<string> => {
      const file = files.get(name);
      if (file !== undefined) return known(read(file));
      return unknown(missing.get(name) ?? `the folder has no file ${name} (${TEXTS[name]})`);
    };
    const cni = names.filter(isCniFile).flatMap((name) => {
      const content = readCniFile(read(name));
      return content === undefined ? [] : [[name, content] as const];
    });
    const documents = names
      .filter((name) => /\.(?:ya?ml|json)$/.test(name) && !isTextName(name.replace(/\.json$/, '')))
      .flatMap((name) => documentsOf(join(folder, name)));
    const proxyDocuments = documents.filter(isProxyDocument).map(redactProxyDocument);
    const objects = keptObjects(documents);
    return {
      texts: new Map(TEXT_NAMES.map((name) => [name, textOf(name)])),
      cni:
        cni.length > 0 || names.includes(MISSING)
          ? known(new Map(cni))
          : unknown('the folder has no file of /etc/cni/net.d'),
      proxyDocuments:
        proxyDocuments.length > 0
          ? known(proxyDocuments)
          : unknown(missing.get(PROXY_FILE) ?? 'the folder has no KubeProxyConfiguration'),
      objects:
        objects.length > 0
          ? known(objects)
          : unknown(missing.get(OBJECTS_FILE) ?? 'the folder has no Kubernetes objects'),
    };
  } catch (error) {
    throw unusable(folder, 'read', error);
  }
}

/**
 * Kubernetes objects of a file, or of all YAML and JSON files of a folder, without what is secret.
 * @throws ToolError `SY_CAPTURE_UNUSABLE`.
 */
export function readObjects(path: string): readonly Fields[] {
  try {
    const files = statSync(path).isDirectory()
      ? readdirSync(path)
          .filter((name) => /\.(?:ya?ml|json)$/.test(name))
          .toSorted()
          .map((name) => join(path, name))
      : [path];
    return keptObjects(files.flatMap(documentsOf));
  } catch (error) {
    throw unusable(path, 'read', error);
  }
}

function keptObjects(documents: readonly unknown[]): readonly Fields[] {
  return documents
    .flatMap(objectsOf)
    .map(redactObject)
    .filter((object) => object !== undefined);
}

/** JSON is read by the engine: a hundred times faster. */
function documentsOf(file: string): readonly unknown[] {
  const text = readFileSync(file, 'utf8');
  const read = file.endsWith('.json') ? readJson(text) : readDocuments(text);
  if (!read.ok) throw new SyntaxError(`${basename(file)}: ${read.reason}`);
  return read.documents.map(({ value }) => value);
}

function readJson(text: string): ConfigDocuments {
  try {
    return { ok: true, documents: [{ value: JSON.parse(text), duplicates: [] }] };
  } catch (error) {
    if (error instanceof SyntaxError) return { ok: false, reason: error.message };
    throw error;
  }
}

function unusable(path: string, done: string, error: unknown): unknown {
  const isExpected = error instanceof SyntaxError || (error instanceof Error && 'syscall' in error);
  if (!isExpected) return error;
  return new ToolError(
    'SY_CAPTURE_UNUSABLE',
    `${path} cannot be ${done}: ${error.message}. Correct the path or the file.`,
  );
}
