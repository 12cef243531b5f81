/**
 * Flags and variables in, one frozen object of checked values out.
 *
 * Owns: precedence (flag over variable over default) and the checks of each kind. Refuses: an
 * unknown `SKYSHARD_` variable, suggesting the nearest known one, and any value outside its row's
 * range. The CLI parser, which is built from the same table, refuses unknown flags.
 */
import { isValidDid } from '@atproto/syntax';
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { CommandName } from './command-names.ts';
import { nearestName } from './nearest-name.ts';
import {
  flagOf,
  type SettingName,
  type SettingRow,
  settingNames,
  settingsOf,
  settingTable,
  variableOf,
} from './setting-table.ts';

type Nullable<Row, Value> = Row extends { default: null } ? Value | null : Value;
type ValueOf<Row> = Row extends { kind: 'integer' }
  ? Nullable<Row, number>
  : Row extends { kind: 'switch' }
    ? boolean
    : Row extends { kind: 'urls' | 'names' }
      ? readonly string[]
      : Row extends { kind: 'choice'; choices: readonly (infer Choice)[] }
        ? Choice
        : Nullable<Row, string>;

/** A command may read only the settings whose rows name it. */
export type Settings = { readonly [Name in SettingName]: ValueOf<(typeof settingTable)[Name]> };

export type SettingSource = 'flag' | 'variable' | 'default';

export type ResolvedSettings = {
  readonly settings: Settings;
  readonly sourceByName: Readonly<Record<SettingName, SettingSource>>;
};

/** A text, several texts for a repeated flag, or true for a switch. */
export type GivenFlags = Readonly<Partial<Record<SettingName, string | readonly string[] | boolean>>>;

export type Environment = Readonly<Record<string, string | undefined>>;

/** Returns the environment of this process, and is its only reader. */
export function processEnvironment(): Environment {
  return process.env;
}

/** Returns the environment for a child process: ours without settings, which it gets as flags. */
export function childEnvironment(environment: Environment): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !name.startsWith('SKYSHARD_')) kept[name] = value;
  }
  return kept;
}

/** Of DIDs that fit keys. Units: characters. */
const didLengthMax = 256;
/** Of a parameter's name that an error repeats. Units: characters. */
const nameLengthMax = 40;

function fail(where: string, problem: string): never {
  throw new DataPlaneError('ConfigInvalid', `${where}: ${problem}`, {
    hint: 'Correct it, or leave it out; `--help` says what it is for.',
  });
}

function checkUrl(text: string, where: string, schemes: readonly string[]): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !schemes.includes(url.protocol)) {
    // The text is not repeated: it may hold a password.
    const given = url === null ? 'what is given cannot be read as a URL' : `not with ${url.protocol}`;
    fail(where, `must be a URL that begins with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}; ${given}`);
  }
  if (url.username !== '' || url.password !== '')
    fail(where, 'must not hold a user name, a password or a token; a file holds them');
  return text.replace(/\/+$/, '');
}

/** Repeats of what follows a URL's path only the names of parameters: a value may be secret. */
function checkParameters(text: string, where: string, { parameters }: SettingRow & { kind: 'url' }): string {
  if (parameters === undefined) return text;
  const { hash, searchParams } = new URL(text);
  if (hash !== '') fail(where, 'must not hold a #; one that belongs to a name is written %23');
  for (const name of searchParams.keys()) {
    const taken = `it takes ${parameters.map((parameter) => `?${parameter}=`).join(', ')}`;
    if (/^(pass|pgpass)/i.test(name)) fail(where, 'must not hold a password');
    if (!parameters.includes(name)) fail(where, `has an unknown parameter "${name.slice(0, nameLengthMax)}"; ${taken}`);
    if (searchParams.getAll(name).length > 1) fail(where, `has the parameter "${name}" more than once`);
  }
  return text;
}

function checkInteger(text: string, where: string, row: Extract<SettingRow, { kind: 'integer' }>): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= row.min && value <= row.max)) {
    fail(where, `must be a whole number from ${row.min} to ${row.max} (${row.unit}), not "${text}"`);
  }
  return value;
}

function checkSwitch(given: string | boolean, where: string): boolean {
  if (given === true || given === 'true' || given === '1') return true;
  if (given === false || given === 'false' || given === '0') return false;
  return fail(where, `must be true or false, not "${given}"`);
}

/** Splits `<url>=<url>`, whose second URL may be absent. */
export function splitPair(text: string): [first: string, second: string | null] {
  const [, first, second] = /^(.+?)=([a-z]+:.*)$/i.exec(text) ?? [];
  return first === undefined || second === undefined ? [text, null] : [first, second];
}

function checkDid(text: string, where: string): string {
  return text.length <= didLengthMax && isValidDid(text) ? text : fail(where, `must be a DID or a URL, not "${text}"`);
}

/** Checks one URL, or two with `=` in between. */
function checkUrlOrPair(text: string, where: string, row: SettingRow & { kind: 'urls' }): string {
  if (row.mayBeDid === true && text.startsWith('did:')) return checkDid(text, where);
  const [first, second] = row.isPaired === true ? splitPair(text) : [text, null];
  const url = checkUrl(first, where, row.schemes);
  return second === null ? url : `${url}=${checkUrl(second, where, row.schemes)}`;
}

/** Checks a host name or an address, without a port. A part of a shard has a `~` in its name. */
function checkName(text: string, where: string): string {
  if (/^[\w.~-]{1,253}$/.test(text) || /^[\da-f:.]{2,45}$/i.test(text)) return text.toLowerCase();
  return fail(where, `must be a host name without a port, not "${text}"`);
}

function checkValue(row: SettingRow, given: string | readonly string[] | boolean, where: string): unknown {
  if (row.kind === 'switch') return checkSwitch(typeof given === 'object' ? given.join() : given, where);
  const texts = typeof given === 'object' ? given : [String(given)];
  if (row.kind === 'urls') return Object.freeze(texts.map((text) => checkUrlOrPair(text, where, row)));
  if (row.kind === 'names') {
    return Object.freeze(texts.flatMap((text) => text.split(',')).map((name) => checkName(name, where)));
  }
  const text = texts.at(-1)!;
  if (text === '') fail(where, 'must not be empty');
  if (row.kind === 'url') return checkParameters(checkUrl(text, where, row.schemes), where, row);
  if (row.kind === 'integer') return checkInteger(text, where, row);
  if (row.kind === 'choice' && !row.choices.includes(text)) {
    const nearest = nearestName(text, row.choices);
    fail(
      where,
      `must be one of ${row.choices.join(', ')}, not "${text}"${nearest ? `; did you mean ${nearest}?` : ''}`,
    );
  }
  return text;
}

function refuseUnknownVariables(environment: Environment): void {
  const known = settingNames.map(variableOf);
  for (const name of Object.keys(environment)) {
    if (!name.startsWith('SKYSHARD_') || known.includes(name)) continue;
    const nearest = nearestName(name, known);
    fail(name, `unknown variable${nearest === null ? '' : `; did you mean ${nearest}?`}`);
  }
}

/** Splits a variable that holds several URLs or names at its commas. */
function variableParts(row: SettingRow, text: string): string | readonly string[] {
  return row.kind === 'urls' || row.kind === 'names' ? text.split(',').filter((part) => part !== '') : text;
}

/**
 * Returns the settings of a command.
 *
 * One environment serves all commands, so variables of other commands are checked only by name.
 * Errors: DataPlaneError `ConfigInvalid` naming the flag or variable and what it must be.
 */
export function resolveSettings(command: CommandName, flags: GivenFlags, environment: Environment): ResolvedSettings {
  refuseUnknownVariables(environment);
  const taken = new Set<SettingName>(settingsOf(command));
  const settings: Partial<Record<SettingName, unknown>> = {};
  const sourceByName: Partial<Record<SettingName, SettingSource>> = {};
  for (const name of settingNames) {
    const row: SettingRow = settingTable[name];
    const flag = flags[name];
    const variable = environment[variableOf(name)];
    if (flag !== undefined) {
      if (!taken.has(name)) fail(flagOf(name), `is not a flag of "${command}"`);
      settings[name] = checkValue(row, flag, flagOf(name));
      sourceByName[name] = 'flag';
    } else if (variable !== undefined && taken.has(name)) {
      settings[name] = checkValue(row, variableParts(row, variable), variableOf(name));
      sourceByName[name] = 'variable';
    } else {
      settings[name] = row.default;
      sourceByName[name] = 'default';
    }
  }
  return Object.freeze({
    settings: Object.freeze(settings) as Settings,
    sourceByName: Object.freeze(sourceByName) as Record<SettingName, SettingSource>,
  });
}

/** Returns flags that pass on the settings that the command takes to another of our processes. */
export function flagsFor(command: CommandName, settings: Settings): string[] {
  const flags: string[] = [];
  for (const name of settingsOf(command)) {
    const value = settings[name];
    if (value === null || value === false) continue;
    if (value === true) flags.push(flagOf(name));
    else if (typeof value === 'object') flags.push(...value.map((part) => `${flagOf(name)}=${part}`));
    else flags.push(`${flagOf(name)}=${value}`);
  }
  return flags;
}
