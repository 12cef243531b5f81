/**
 * Writes `generated/bsky-service.ts` from the descriptors of the official package.
 *
 * Run: `node ops/generate-proto-schema.ts <path of @atproto/bsky/dist/proto/bsky_connect.js>`.
 * Owns: the form of the generated schema and types. Refuses: descriptor features that the service
 * does not use today (oneofs, groups, message keys), so that a newer service fails here and not in
 * the codec.
 */
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { invariant } from '../src/base/invariant.ts';
import type { FieldLabel, FieldSchema, FieldType } from '../src/proto/schema.ts';

type RawEnum = {
  readonly typeName: string;
  readonly values: readonly { readonly no: number; readonly name: string }[];
};
type RawField = {
  readonly no: number;
  readonly name: string;
  readonly localName: string;
  readonly jsonName: string;
  readonly kind: 'scalar' | 'message' | 'enum' | 'map';
  readonly T: unknown;
  readonly K?: number;
  readonly V?: { readonly kind: string; readonly T: RawMessage };
  readonly repeated?: boolean;
  readonly opt?: boolean;
  readonly oneof?: unknown;
};
type RawMessage = { readonly typeName: string; readonly fields: { list(): readonly RawField[] } };
type RawService = {
  readonly methods: Readonly<Record<string, { readonly name: string; readonly I: RawMessage; readonly O: RawMessage }>>;
};

/** The descriptors' numbers of scalar types that bsky.Service uses. */
const scalarTypeByNumber: ReadonlyMap<number, FieldType> = new Map([
  [1, 'double'],
  [3, 'int64'],
  [5, 'int32'],
  [8, 'bool'],
  [9, 'string'],
  [12, 'bytes'],
]);

const timestampName = 'google.protobuf.Timestamp';

function shortName(typeName: string): string {
  invariant(typeName.startsWith('bsky.'), `${typeName} belongs to the package bsky`);
  return typeName.slice('bsky.'.length);
}

function fieldType(field: RawField): { type: FieldType; of: string } {
  if (field.kind === 'scalar') {
    const type = scalarTypeByNumber.get(field.T as number);
    invariant(type !== undefined, `scalar type ${String(field.T)} of ${field.name} is known`);
    return { type, of: '' };
  }
  if (field.kind === 'enum') return { type: 'enum', of: shortName((field.T as RawEnum).typeName) };
  if (field.kind === 'map') {
    invariant(field.K === 9 && field.V?.kind === 'message', `map ${field.name} is from string to message`);
    return { type: 'map', of: shortName(field.V.T.typeName) };
  }
  const message = field.T as RawMessage;
  return message.typeName === timestampName
    ? { type: 'timestamp', of: '' }
    : { type: 'message', of: shortName(message.typeName) };
}

function schemaOf(field: RawField): FieldSchema {
  invariant(field.oneof === undefined, `${field.name} is in no oneof`);
  invariant(field.jsonName === field.localName, `${field.name} has one lower-camel name`);
  const label: FieldLabel = field.repeated === true ? 'repeated' : field.opt === true ? 'optional' : 'single';
  const { type, of } = fieldType(field);
  return [field.no, field.name, field.localName, type, label, of];
}

class Descriptors {
  readonly messages = new Map<string, readonly FieldSchema[]>();
  readonly enums = new Map<string, RawEnum>();

  add(message: RawMessage): void {
    if (message.typeName === timestampName || this.messages.has(shortName(message.typeName))) return;
    const fields = [...message.fields.list()].sort((a, b) => a.no - b.no);
    this.messages.set(shortName(message.typeName), fields.map(schemaOf));
    for (const field of fields) {
      if (field.kind === 'message') this.add(field.T as RawMessage);
      if (field.kind === 'map') this.add(field.V!.T);
      if (field.kind === 'enum') this.enums.set(shortName((field.T as RawEnum).typeName), field.T as RawEnum);
    }
  }
}

function typeText(type: FieldType, of: string): string {
  switch (type) {
    case 'string':
      return 'string';
    case 'bytes':
      return 'Uint8Array';
    case 'bool':
      return 'boolean';
    case 'int32':
    case 'int64':
    case 'double':
      return 'number';
    case 'timestamp':
      return 'TimestampMs';
    case 'enum':
    case 'message':
      return of;
    case 'map':
      return `ReadonlyMap<string, ${of}>`;
  }
}

function propertyText([, , local, type, label, of]: FieldSchema): string {
  const text = typeText(type, of);
  if (label === 'repeated') return `  readonly ${local}: readonly ${text}[];`;
  const mayBeAbsent = label === 'optional' || type === 'message' || type === 'timestamp';
  return mayBeAbsent ? `  readonly ${local}?: ${text} | undefined;` : `  readonly ${local}: ${text};`;
}

/** A message without fields has no numbers. */
function numbersText(name: string, fields: readonly FieldSchema[]): string {
  const numbers = fields.map(([number, , local]) => `${local}: ${number}`).join(', ');
  return numbers === '' ? '' : `  ${name}: { ${numbers} },\n`;
}

function enumText(name: string, { values }: RawEnum): string {
  const prefix = `${name.replace(/(?<=.)([A-Z])/g, '_$1').toUpperCase()}_`;
  const members = values.map(({ no, name: full }) => {
    invariant(full.startsWith(prefix), `${full} begins with ${prefix}`);
    return `  ${full.slice(prefix.length)}: ${no},`;
  });
  const json = values.map(({ no, name: full }) => `  [${no}, '${full}'],`);
  const local = `${name[0]!.toLowerCase()}${name.slice(1)}`;
  return [
    `/** The values of ${name} that this schema knows. */`,
    `export const ${local} = {\n${members.join('\n')}\n} as const;`,
    `/** A number: proto3 enums are open. */\nexport type ${name} = number;`,
    `/** Names in JSON by number. */\nexport const ${local}Names: readonly EnumName[] = [\n${json.join('\n')}\n];`,
  ].join('\n');
}

function generatedText(service: RawService): string {
  const descriptors = new Descriptors();
  const methods = Object.values(service.methods);
  for (const method of methods) {
    descriptors.add(method.I);
    descriptors.add(method.O);
  }
  const names = [...descriptors.messages.keys()].sort();
  const rows = (name: string): string =>
    descriptors.messages
      .get(name)!
      .map((row) => `    ${JSON.stringify(row).replaceAll('"', "'").replaceAll(',', ', ')},\n`)
      .join('');
  const types = names.map((name) => {
    const properties = descriptors.messages.get(name)!.map(propertyText);
    return `export interface ${name} {\n${properties.join('\n')}${properties.length === 0 ? '' : '\n'}}`;
  });
  const enums = [...descriptors.enums].sort(([a], [b]) => (a < b ? -1 : 1));
  const local = (name: string): string => `${name[0]!.toLowerCase()}${name.slice(1)}`;
  return [
    '/** The schema and types of bsky.Service. Written by ops/generate-proto-schema.ts: do not edit. */',
    "import type { EnumName, FieldSchema } from '../schema.ts';",
    '/** Milliseconds since 1970; finer fractions are dropped. */\nexport type TimestampMs = number;',
    ...enums.map(([name, raw]) => enumText(name, raw)),
    ...types,
    `/** Every message type by its name. */\nexport interface MessageByName {\n${names.map((name) => `  ${name}: ${name};`).join('\n')}\n}`,
    '/** A message of bsky.Service. */\nexport type MessageName = keyof MessageByName;',
    `/** Fields of every message, ascending by number: [number, name, JSON name, type, label, name of the type]. */\nexport const fieldsByMessage: Readonly<{ [Name in keyof MessageByName]: readonly FieldSchema[] }> = {\n${names
      .map((name) => `  ${name}: [\n${rows(name)}  ],`)
      .join('\n')}\n};`,
    `/** Numbers of every message's fields, by their JSON names. */\nexport const fieldNumber = {\n${names.map((name) => numbersText(name, descriptors.messages.get(name)!)).join('')}} as const;`,
    `/** Names of every enum in JSON. */\nexport const namesByEnum: Readonly<{ [name: string]: readonly EnumName[] }> = {\n${enums.map(([name]) => `  ${name}: ${local(name)}Names,`).join('\n')}\n};`,
    `/** Every method: name, request, response. */\nexport const serviceMethods = [\n${methods
      .map((method) => `  ['${method.name}', '${shortName(method.I.typeName)}', '${shortName(method.O.typeName)}'],`)
      .join(
        '\n',
      )}\n] as const satisfies readonly (readonly [name: string, request: MessageName, response: MessageName])[];`,
    '/** A method of bsky.Service. */\nexport type MethodName = (typeof serviceMethods)[number][0];',
  ].join('\n\n');
}

const source = process.argv[2];
invariant(source !== undefined, 'the path of bsky_connect.js is the only argument');
const { Service } = (await import(pathToFileURL(source).href)) as { Service: RawService };
writeFileSync(new URL('../src/proto/generated/bsky-service.ts', import.meta.url), `${generatedText(Service)}\n`);
