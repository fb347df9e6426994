/** Writes the documentation that is generated from tables of the sources. */
import { writeFileSync } from 'node:fs';
import { renderMetricsDocs } from '../../src/agent/metrics/docs.ts';
import { renderChoosingDocs } from './choosing-a-mode.ts';
import { renderDoctorDocs } from './doctor.ts';
import { renderFeatures } from './features.ts';
import { renderFlagsDocs } from './flags.ts';

/** Files, relative to the root of the repository, and what they are to hold. */
const FILES = [
  { file: 'docs/choosing-a-mode.md', render: renderChoosingDocs },
  { file: 'docs/doctor.md', render: renderDoctorDocs },
  { file: 'docs/features.md', render: renderFeatures },
  { file: 'docs/flags.md', render: renderFlagsDocs },
  { file: 'docs/metrics.md', render: renderMetricsDocs },
] as const;

const ROOT = new URL('../../', import.meta.url);

for (const { file, render } of FILES) writeFileSync(new URL(file, ROOT), render());
