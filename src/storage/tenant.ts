/** A storage as its memory pool sees it: what gives way are its resident units. */
import type { Tenant } from './memory-pool.js';
import type { ResidentUnits } from './units.js';

export interface TenantParts {
  /** Null as long as there are none. */
  units(): ResidentUnits | null;
  hurry(): void;
  /** A piece may be opened that was refused. */
  roomForPieces(): void;
}

export function tenantOf({ units, hurry, roomForPieces }: TenantParts): Tenant {
  return {
    shrink: (bytes) => units()?.shrink(bytes),
    hurry,
    takeUsed: () => units()?.takeUsed() ?? false,
    roomForPieces,
    roomForUnits: () => units()?.retry(),
  };
}
