/** A diagnosis as text for people. */
import type { Diagnosis } from './diagnose.ts';
import type { Finding, Severity } from './rule.ts';

/** Lines of one finding that are shown; the rest is counted. */
const SHOWN = 5;
const WIDTH = 96;
const INDENT = '          ';
const NAMES: Readonly<Record<Severity, readonly [one: string, many: string]>> = {
  critical: ['critical', 'critical'],
  warning: ['warning', 'warnings'],
  notice: ['notice', 'notices'],
};

/** Lines without their ends. */
export function reportLines({ findings, unknown }: Diagnosis): readonly string[] {
  const blocks = findings.flatMap((finding) => [...findingLines(finding), '']);
  const reasons = Map.groupBy(unknown, ({ why }) => why);
  const blind = [...reasons].map(
    ([why, facts]) => `  ${facts.map(({ fact }) => fact).join(', ')}: ${why}`,
  );
  return [
    ...blocks,
    summary(findings),
    ...(blind.length === 0 ? [] : ['', 'Not looked at:', ...blind]),
  ];
}

function findingLines({
  id,
  severity,
  title,
  seen,
  why,
  prove,
  fix,
  source,
  date,
}: Finding): readonly string[] {
  const more = seen.length - SHOWN;
  return [
    `${severity.toUpperCase().padEnd(INDENT.length)}${title} (${id})`,
    ...seen.slice(0, SHOWN).map((line) => `  seen    ${line}`),
    ...(more > 0 ? [`${INDENT}… and ${more} more`] : []),
    ...entry('why', why),
    `  prove   ${prove}`,
    ...entry('fix', fix),
    `  source  ${source} (${date})`,
  ];
}

/** A text in lines of bearable width. */
function entry(label: string, text: string): readonly string[] {
  const lines: string[] = [];
  let line = `  ${label.padEnd(INDENT.length - 3)}`;
  for (const word of text.split(' ')) {
    if (line.length + word.length >= WIDTH && line.trim() !== label) {
      lines.push(line);
      line = INDENT.slice(1);
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

function summary(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'No findings.';
  const counts = (['critical', 'warning', 'notice'] as const).flatMap((severity) => {
    const count = findings.filter((finding) => finding.severity === severity).length;
    return count === 0 ? [] : [`${count} ${NAMES[severity][count === 1 ? 0 : 1]}`];
  });
  return `${findings.length} finding${findings.length === 1 ? '' : 's'}: ${counts.join(', ')}.`;
}
