/** All faults, one for each rule at least. */
import { CONNTRACK_PLANTS, KERNEL_PLANTS } from './kernel.ts';
import { CONFIGURATION_PLANTS, MODE_PLANTS } from './modes.ts';
import { NETWORK_PLANTS } from './network.ts';
import { OWNER_PLANTS } from './owners.ts';
import type { Plant } from './plant.ts';
import { SERVICE_PLANTS } from './services.ts';

export const PLANTS: readonly Plant[] = [
  ...MODE_PLANTS,
  ...CONFIGURATION_PLANTS,
  ...OWNER_PLANTS,
  ...CONNTRACK_PLANTS,
  ...KERNEL_PLANTS,
  ...NETWORK_PLANTS,
  ...SERVICE_PLANTS,
];
