-- The conditions follow kstatus: Reconciling and Stalled are never both True, Ready sums them up, and all of them are of
-- status.observedGeneration. A baseline that waits for a person is Stalled; only where a person stopped it on purpose
-- that is no failure.
local hs = {
  status = "Progressing",
  message = "Waiting for the operator to look at this generation"
}
if obj.status == nil or obj.status.conditions == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end

local found = {}
for _, condition in ipairs(obj.status.conditions) do
  found[condition.type] = condition
end
local function holds(kind)
  return found[kind] ~= nil and found[kind].status == "True"
end

if holds("Stalled") then
  local reason = found["Stalled"].reason
  if reason == "Suspended" or reason == "Stopped" then
    hs.status = "Suspended"
  else
    hs.status = "Degraded"
  end
  hs.message = reason .. ": " .. found["Stalled"].message
elseif holds("Ready") then
  hs.status = "Healthy"
  hs.message = found["Ready"].message
  -- What one tenant can cause is told, and fails nothing.
  for _, kind in ipairs({"Degraded", "Contested", "Drifted"}) do
    if holds(kind) then
      hs.message = hs.message .. "; " .. found[kind].message
    end
  end
elseif found["Ready"] ~= nil then
  hs.message = found["Ready"].message
end
return hs
