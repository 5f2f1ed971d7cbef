"""What crosses between Trident's processes, and how. Imported in both environments: msgspec and pyzmq only.

supervisor ──spec (file)──► engine host ──status (pipe)──► supervisor
stub ──Submit, Abort, Stopped──► engine host ──Accepted, Rejected, Tokens, EngineReady, EngineLost──► stub
"""
