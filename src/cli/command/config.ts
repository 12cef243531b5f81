/** `skyshard config`: every setting, its value and where it came from. */
import {
  flagOf,
  type SettingName,
  type SettingRow,
  settingNames,
  settingTable,
  variableOf,
} from '../../config/setting-table.ts';
import type { Command } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { textTable } from '../text-table.ts';

function rangeOf(name: SettingName): string {
  const row: SettingRow = settingTable[name];
  if (row.kind === 'integer') return `${row.min}..${row.max} ${row.unit}`;
  if (row.kind === 'choice') return row.choices.join('|');
  return row.kind;
}

function valueText(value: unknown): string {
  if (value === null) return '-';
  return Array.isArray(value) ? value.join(',') || '-' : String(value);
}

export const runConfig: Command = async ({ resolved, settings, print }) => {
  const rows = settingNames.map((name) => ({
    name,
    flag: flagOf(name),
    variable: variableOf(name),
    value: settings[name],
    source: resolved.sourceByName[name],
    range: rangeOf(name),
    commands: settingTable[name].commands,
    help: settingTable[name].help,
  }));
  if (settings.json) print(`${JSON.stringify(rows, null, 2)}\n`);
  else {
    print(
      textTable(
        ['flag', 'variable', 'value', 'from', 'range'],
        rows.map(({ flag, variable, value, source, range }) => [flag, variable, valueText(value), source, range]),
      ),
    );
  }
  return exitCode.done;
};
