-- technique: looks for the libraries under every name that a table holds; must: harmless
function run(input)
  local seen, found = {}, nil
  local function walk(value, depth)
    if type(value) ~= "table" or seen[value] or depth > 5 then return end
    seen[value] = true
    for key, inner in pairs(value) do
      if key == "open" or key == "execute" or key == "getregistry" or key == "sethook" or key == "eval" then
        found = input.marker
      end
      walk(inner, depth + 1)
    end
  end
  walk(_G, 0)
  return found or "nothing found" 
end
