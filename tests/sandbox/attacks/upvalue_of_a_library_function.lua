-- technique: asks a library function for its surroundings by every means that remain; must: harmless
function run(input)
  local ok, name = pcall(function() return getmetatable(string.rep) end)
  local again, environment = pcall(function() return string.rep._ENV end)
  return (again and environment ~= nil) and input.marker or "closed" 
end
