-- The libraries of texts by name; methods reach them without.

local core = ...

return { string = core.libraries.string, utf8 = core.libraries.utf8 }
