// The places where the form of policies goes on a node: nftables, and the maps of programs.
export {}
