-- technique: puts functions of its own where the libraries are; must: harmless
function run(input)
  local done = pcall(function() json.encode = function() return input.marker end end)
  done = pcall(rawset, json, "encode", function() return input.marker end) and json.encode({}) == input.marker
  return done and "for itself only" or "refused" 
end
