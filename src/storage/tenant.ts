/** A storage as its memory pool sees it: what gives way are its resident units. */
import type { Tenant } from './pool-share.js';
import type { ResidentUnits } from './units.js';

/** Who is told; see `Storage`. */
export interface TenantOwner {
  readonly onRoom: (() => void) | null;
  readonly onPiecesWanted: (() => void) | null;
}

export interface TenantParts {
  /** Null as long as there are none. */
  units(): ResidentUnits | null;
  hurry(): void;
  isClosing(): boolean;
}

export function tenantOf(owner: TenantOwner, { units, hurry, isClosing }: TenantParts): Tenant {
  return {
    shrink: (bytes) => units()?.shrink(bytes),
    hurry,
    takeUsed: () => units()?.takeUsed() ?? false,
    shrinkPieces: () => {
      if (!isClosing()) owner.onPiecesWanted?.();
    },
    roomForPieces: () => {
      if (!isClosing()) owner.onRoom?.();
    },
    roomForUnits: () => units()?.retry(),
  };
}
