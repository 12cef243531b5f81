/**
 * Writes src/atproto/lexicon/generated/schema.ts from the lexicons of an installed `@atproto/bsky`.
 *
 * Run: node ops/generate-lexicon-schema.ts <folder of @atproto/bsky>
 *
 * Writes only definitions that the indexed collections can reach, in the order in which they are
 * reached. Refuses a kind of schema that lexicon-definition.ts and check.ts do not know.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { indexedCollections } from '../src/atproto/collection.ts';

type Node = Record<string, unknown>;
/** A schema object of the official package: its fields depend on `type`. */
// biome-ignore lint/suspicious/noExplicitAny: the package exports no types for walking its schemas
type Official = any;

const packageFolder = resolve(process.argv[2] ?? 'node_modules/@atproto/bsky');
const lexicons = (await import(pathToFileURL(resolve(packageFolder, 'dist/lexicons/index.js')).href)) as Official;
const version = JSON.parse(readFileSync(resolve(packageFolder, 'package.json'), 'utf8')).version as string;

const definitions: Record<string, Node> = {};

function picked(options: Official, names: readonly string[]): Node {
  const node: Node = {};
  for (const name of names) if (options?.[name] !== undefined && options[name] !== null) node[name] = options[name];
  for (const name of Object.keys(options ?? {})) {
    if (!names.includes(name) && !['knownValues', 'default'].includes(name)) throw new Error(`unknown option ${name}`);
  }
  return node;
}

/** Writes a named object once and returns its name. */
function define(schema: Official): string {
  const name = schema.$type as string;
  if (!(name in definitions)) {
    definitions[name] = {};
    definitions[name] = { kind: schema.type === 'record' ? 'record' : 'object', fields: fieldsOf(schema.schema) };
  }
  return name;
}

function fieldsOf(schema: Official): Node {
  if (schema.type !== 'object') throw new Error(`a named definition over ${schema.type}`);
  return Object.fromEntries(
    Object.entries(schema.shape as Record<string, Official>).map(([field, shape]) => [field, nodeOf(shape)]),
  );
}

function nodeOf(schema: Official): Node {
  switch (schema.type) {
    case 'optional':
      return { ...nodeOf(schema.validator), isOptional: true };
    case 'withDefault':
    case 'ref':
      return nodeOf(schema.validator);
    case 'record':
    case 'typedObject':
      return { kind: 'named', name: define(schema) };
    case 'typedUnion':
      return {
        kind: 'union',
        isClosed: schema.closed === true,
        names: schema.validators.map((member: Official) => define(member.validator)),
      };
    case 'array':
      return { kind: 'array', items: nodeOf(schema.validator), ...picked(schema.options, ['minLength', 'maxLength']) };
    case 'string':
      return {
        kind: 'string',
        ...picked(schema.options, ['format', 'minLength', 'maxLength', 'maxGraphemes']),
      };
    case 'integer':
      return { kind: 'integer', ...picked(schema.options, ['minimum', 'maximum']) };
    case 'bytes':
      return { kind: 'bytes', ...picked(schema.options, ['minLength', 'maxLength']) };
    case 'blob':
      return { kind: 'blob', ...picked(schema.options, ['accept', 'maxSize']) };
    case 'boolean':
      return { kind: 'boolean' };
    default:
      throw new Error(`unknown schema type ${schema.type}`);
  }
}

function mainOf(nsid: string): Official {
  let at: Official = lexicons;
  for (const segment of nsid.split('.')) at = at[segment];
  return at.main;
}

for (const nsid of indexedCollections) define(mainOf(nsid));

const lines = Object.entries(definitions).map(([name, node]) => `  ${JSON.stringify(name)}: ${JSON.stringify(node)},`);
const text = `/**
 * The lexicon definitions that the indexed collections can reach, as data. Written by
 * ops/generate-lexicon-schema.ts; change that, not this.
 *
 * Source: the lexicons of @atproto/bsky ${version}.
 */
import type { LexiconDefinitions } from '../lexicon-definition.ts';

export const lexiconDefinitions: LexiconDefinitions = {
${lines.join('\n')}
};
`;
writeFileSync(resolve(import.meta.dirname, '../src/atproto/lexicon/generated/schema.ts'), text);
