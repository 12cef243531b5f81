/** The metrics that rules and dashboards in `ops/` name. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './source-scan.ts';

export const rulesFolder = join(projectRoot, 'ops', 'prometheus');
const grafanaFolder = join(projectRoot, 'ops', 'grafana');

export type Dashboard = {
  readonly file: string;
  readonly title: string;
  readonly uid: string;
  readonly panels: readonly {
    readonly title: string;
    readonly fieldConfig: {
      readonly defaults: { readonly unit: string };
      readonly overrides: readonly {
        readonly matcher: { readonly options: string };
        readonly properties: readonly { readonly id: string; readonly value: string }[];
      }[];
    };
    readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
  }[];
};

/** Returns all dashboards. */
export function dashboards(): Dashboard[] {
  return readdirSync(grafanaFolder).map((file) => ({
    ...(JSON.parse(readFileSync(join(grafanaFolder, file), 'utf8')) as Dashboard),
    file,
  }));
}

/** Returns the expressions of rules, and those of dashboards. */
export function expressions(): string[] {
  const rules = readFileSync(join(rulesFolder, 'rules.yml'), 'utf8');
  const ofRules = [...rules.matchAll(/^ {8}expr: (.*)$/gm)].map(([, expression]) => expression!);
  return [
    ...ofRules,
    ...dashboards().flatMap(({ panels }) => panels.flatMap((panel) => panel.targets.map(({ expr }) => expr))),
  ];
}

/** Returns the metrics that they name, without those of recording rules, and `up`. */
export function namedMetrics(): Set<string> {
  const names = expressions().flatMap((text) => text.match(/\b(?:skyshard_|process_|nodejs_)\w+(?!:)/g) ?? []);
  return new Set(names.map((name) => name.replace(/_(?:bucket|sum|count)$/, '')));
}
